//! `--device`: from a name to a burn device.

use burn::tensor::Device;
use clap::ValueEnum;

use crate::failure::{Failure, Result};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// This machine's cores, on kernels made for them.
    Cpu,
    /// This machine's cores through burn alone: slower, to compare with.
    CpuPlain,
    /// A GPU through wgpu (feature `wgpu`).
    Wgpu,
    /// A CUDA device (feature `cuda`).
    #[value(alias = "cuda:0")]
    Cuda,
}

impl DeviceName {
    /// Whether that is this machine's cores.
    pub fn is_cpu(self) -> bool {
        matches!(self, DeviceName::Cpu | DeviceName::CpuPlain)
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            DeviceName::Cpu => "cpu",
            DeviceName::CpuPlain => "cpu-plain",
            DeviceName::Wgpu => "wgpu",
            DeviceName::Cuda => "cuda",
        }
    }

    /// Refuses what this build has not, whether or not the machine does.
    pub fn expect_built(self) -> Result<()> {
        if built().contains(&self.name()) { Ok(()) } else { Err(self.not_built()) }
    }

    fn not_built(self) -> Failure {
        let (name, built) = (self.name(), built().join(", "));
        Failure::Request(format!("--device {name}: this build has {built}; build with `--features {name}` for it"))
    }
}

/// An open device.
pub struct Opened {
    /// Where tensors are.
    pub device: Device,
    /// For people: on a GPU with its adapter's and driver's names.
    pub description: String,
}

/// The device called `name`.
pub fn open(name: DeviceName) -> Result<Opened> {
    match name {
        DeviceName::Cpu | DeviceName::CpuPlain => {
            Ok(Opened { device: Device::flex(), description: name.name().into() })
        }
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => guarded(name, wgpu),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => guarded(name, || Some(Opened { device: Device::cuda(0), description: cuda() })),
        #[allow(unreachable_patterns)] // with every feature on
        other => Err(other.not_built()),
    }
}

/// The adapter that wgpu prefers.
#[cfg(feature = "wgpu")]
fn wgpu() -> Option<Opened> {
    let (device, setup) = Device::wgpu_options().init_with_setup().ok()?;
    let info = setup.adapter.get_info();
    let description = format!("wgpu: {}, {} {} ({})", info.name, info.driver, info.driver_info, info.backend);
    Some(Opened { device, description })
}

/// The first device's name and driver as its own tool says them; CUDA's bindings here do not.
#[cfg(feature = "cuda")]
fn cuda() -> String {
    let query = ["--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"];
    let output = std::process::Command::new("nvidia-smi").args(query).output();
    let said = output.ok().filter(|output| output.status.success());
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.map_or_else(|| "cuda".into(), |said| format!("cuda: {said}"))
}

/// The devices that this build has.
fn built() -> Vec<&'static str> {
    let all = [("cpu", true), ("cpu-plain", true), ("wgpu", cfg!(feature = "wgpu")), ("cuda", cfg!(feature = "cuda"))];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

/// burn panics where a driver is missing; a first small computation finds out.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn guarded(name: DeviceName, open: impl FnOnce() -> Option<Opened> + std::panic::UnwindSafe) -> Result<Opened> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let opened = std::panic::catch_unwind(|| {
        let opened = open()?;
        let two: f32 = (burn::tensor::Tensor::<1>::from_floats([1.0], &opened.device) + 1.0).into_scalar();
        (two == 2.0).then_some(opened)
    });
    std::panic::set_hook(hook);
    opened.ok().flatten().ok_or_else(|| {
        Failure::Request(format!(
            "--device {}: no such device or driver on this machine (this build has {})",
            name.name(),
            built().join(", ")
        ))
    })
}
