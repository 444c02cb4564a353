//! `--device`: from a name to a burn device.

use burn::tensor::Device;
use clap::ValueEnum;

use crate::failure::{Failure, Result};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// This machine's cores.
    Cpu,
    /// A GPU through wgpu (feature `wgpu`).
    Wgpu,
    /// A CUDA device (feature `cuda`).
    Cuda,
}

impl DeviceName {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            DeviceName::Cpu => "cpu",
            DeviceName::Wgpu => "wgpu",
            DeviceName::Cuda => "cuda",
        }
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
    let device = match name {
        DeviceName::Cpu => Device::flex(),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => guarded(name, || Device::wgpu(Default::default()))?,
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => guarded(name, || Device::cuda(0))?,
        #[allow(unreachable_patterns)] // with every feature on
        other => {
            return Err(Failure::Request(format!(
                "--device {0}: this build has {1}; build with `--features {0}` for it",
                other.name(),
                built()
            )));
        }
    };
    Ok(Opened { device, description: describe(name) })
}

fn describe(name: DeviceName) -> String {
    name.name().to_owned()
}

/// The devices that this build has.
fn built() -> String {
    let all = [("cpu", true), ("wgpu", cfg!(feature = "wgpu")), ("cuda", cfg!(feature = "cuda"))];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// burn panics where a driver is missing; a first small computation finds out.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn guarded(name: DeviceName, open: impl FnOnce() -> Device + std::panic::UnwindSafe) -> Result<Device> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let opened = std::panic::catch_unwind(|| {
        let device = open();
        let two: f32 = (burn::tensor::Tensor::<1>::from_floats([1.0], &device) + 1.0).into_scalar();
        (device, two)
    });
    std::panic::set_hook(hook);
    match opened {
        Ok((device, 2.0)) => Ok(device),
        _ => Err(Failure::Request(format!(
            "--device {}: no such device or driver on this machine (this build has {})",
            name.name(),
            built()
        ))),
    }
}
