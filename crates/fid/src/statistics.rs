//! Moments with their origin, and the file that keeps them.

use std::{collections::HashMap, io::Write, path::Path};

use faer::Mat;
use npyz::WriterBuilder;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    Error, Extractor, Gaussian, Identity, ImageSet, Moments, Protocol, Result,
    images::{npz_has, read_npz_f64},
    inception::SPATIAL_NAME,
};

/// The one metadata entry of a statistics file (JSON): several would be written in random order.
const ENTRY: &str = "fewstep";
const FORMAT: &str = "fewstep statistics, version 1";
/// The tensor of every image's features.
const ROWS: &str = "features";
/// Features of the largest extractor that a file may claim.
const MAX_DIM: usize = 16_384;

/// Mean and covariance of a set of images in some feature space, and where they came from.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// The feature space.
    pub identity: Identity,
    /// [`ImageSet::hash`] of the images; empty where unknown.
    pub dataset: String,
    /// Number of images; 0 where unknown.
    pub count: u64,
    /// What they were collected from and by, as their collector tells one case from another; empty where unknown.
    pub key: String,
    /// Mean and unbiased covariance.
    pub gaussian: Gaussian,
}

/// Features that a file of statistics keeps of every image.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRows {
    /// How many.
    pub images: usize,
    /// Theirs, `[images, dim]`, in the order in which they were collected.
    pub features: Vec<f32>,
}

/// How the covariance is stored; the mean is always f64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Exact.
    F64,
    /// Half the size; each entry rounded to 24 bits.
    F32,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    #[serde(flatten)]
    identity: Identity,
    dataset: String,
    count: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    key: String,
}

impl Statistics {
    /// Statistics of `images` of any sizes, `batch` at a time; `progress` hears how many are done.
    ///
    /// # Errors
    /// Where an image cannot be read or there are fewer than two.
    pub fn collect(
        extractor: &dyn Extractor,
        images: &ImageSet,
        batch: usize,
        mut progress: impl FnMut(usize),
    ) -> Result<Self> {
        let dataset = images.hash()?;
        let mut moments = Moments::new(extractor.dim());
        for start in (0..images.len()).step_by(batch.max(1)) {
            let end = (start + batch.max(1)).min(images.len());
            for run in images.read_runs(start..end)? {
                moments.push(&extractor.features(&run)?)?;
            }
            progress(end);
        }
        Self::of(extractor, dataset, &moments)
    }

    /// Those of features whose moments these are, of images with this [`ImageSet::hash`].
    ///
    /// # Errors
    /// With fewer than two images.
    pub fn of(extractor: &dyn Extractor, dataset: String, moments: &Moments) -> Result<Self> {
        let (identity, count, gaussian) = (extractor.identity(), moments.count(), moments.gaussian()?);
        Ok(Statistics { identity, dataset, count, key: String::new(), gaussian })
    }

    /// A safetensors file: `mean` `[dim]`, the covariance's upper triangle row by row, and the origin as JSON in the metadata.
    ///
    /// # Errors
    /// Where they have no such form.
    pub fn to_safetensors(&self, precision: Precision) -> Result<Vec<u8>> {
        self.to_safetensors_with(precision, None)
    }

    /// The same with every image's features, `features` `[count, dim]` in f32, for what moments alone do not tell ([`rows`](Self::rows)).
    ///
    /// # Errors
    /// As [`to_safetensors`](Self::to_safetensors); where the rows are of another shape.
    pub fn to_safetensors_with(&self, precision: Precision, rows: Option<&[f32]>) -> Result<Vec<u8>> {
        let (mean, covariance) = (self.gaussian.mean(), self.gaussian.covariance());
        let dim = mean.len();
        let triangle = (0..dim).flat_map(|i| (i..dim).map(move |j| covariance[(i, j)]));
        let (dtype, packed): (Dtype, Vec<u8>) = match precision {
            Precision::F64 => (Dtype::F64, triangle.flat_map(f64::to_le_bytes).collect()),
            Precision::F32 => (Dtype::F32, triangle.flat_map(|value| (value as f32).to_le_bytes()).collect()),
        };
        let mean: Vec<u8> = mean.iter().flat_map(|value| value.to_le_bytes()).collect();
        let header = Header {
            format: FORMAT.into(),
            identity: self.identity.clone(),
            dataset: self.dataset.clone(),
            count: self.count,
            key: self.key.clone(),
        };
        let invalid = |error: &dyn std::fmt::Display| Error::Values(format!("safetensors of statistics: {error}"));
        let header = serde_json::to_string(&header).map_err(|error| invalid(&error))?;
        let rows: Option<Vec<u8>> = rows.map(|rows| rows.iter().flat_map(|value| value.to_le_bytes()).collect());
        let mut tensors = vec![
            ("mean", TensorView::new(Dtype::F64, vec![dim], &mean).map_err(|error| invalid(&error))?),
            (
                "covariance",
                TensorView::new(dtype, vec![dim * (dim + 1) / 2], &packed).map_err(|error| invalid(&error))?,
            ),
        ];
        if let Some(rows) = &rows {
            let shape = vec![self.count as usize, dim];
            tensors.push((ROWS, TensorView::new(Dtype::F32, shape, rows).map_err(|error| invalid(&error))?));
        }
        let metadata = HashMap::from([(ENTRY.to_owned(), header)]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|error| invalid(&error))?;
        Ok(bytes)
    }

    /// An `.npz` with `mu` and `sigma`, f64, as pytorch-fid's `--save-stats` writes it; it says nothing of their origin.
    ///
    /// # Errors
    /// Where they have no such form.
    pub fn to_npz(&self) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::Values(format!("npz of statistics: {error}"));
        let (mean, covariance) = (self.gaussian.mean(), self.gaussian.covariance());
        let dim = mean.len();
        let rows: Vec<f64> = (0..dim * dim).map(|i| covariance[(i / dim, i % dim)]).collect();
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, shape, values) in
            [("mu.npy", vec![dim as u64], mean), ("sigma.npy", vec![dim as u64; 2], rows.as_slice())]
        {
            let mut npy = Vec::new();
            let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
            let mut writer = options.writer(&mut npy).begin_nd().map_err(|error| failed(&error))?;
            writer.extend(values).and_then(|()| writer.finish()).map_err(|error| failed(&error))?;
            let options = zip::write::SimpleFileOptions::default();
            archive.start_file(name, options).map_err(|error| failed(&error))?;
            archive.write_all(&npy).map_err(|error| failed(&error))?;
        }
        Ok(archive.finish().map_err(|error| failed(&error))?.into_inner())
    }

    /// Whether `path` is a file of statistics rather than of images: one of ours, or pytorch-fid's `.npz`.
    pub fn is_file(path: &Path) -> bool {
        path.extension().is_some_and(|ending| ending == "safetensors") || npz_has(path, "mu") || npz_has(path, "sigma")
    }

    /// Whether a file of statistics has images too, as guided-diffusion's reference batches: `mu` and `sigma` may be of more of them.
    pub fn has_images(path: &Path) -> bool {
        npz_has(path, "arr_0")
    }

    /// Whether `path` is an `.npz` with statistics of sFID's features, as guided-diffusion's are.
    pub fn has_spatial(path: &Path) -> bool {
        npz_has(path, "mu_s") && npz_has(path, "sigma_s")
    }

    /// Reads statistics in the form of [`to_safetensors`](Self::to_safetensors), or an `.npz` with `mu` and `sigma` as pytorch-fid,
    /// EDM and guided-diffusion write; of sFID's features `mu_s` and `sigma_s`, as the latter has them. The `.npz` says nothing of its
    /// origin: `assumed` is taken for its feature space.
    ///
    /// # Errors
    /// Where the file is damaged; what was expected is named.
    pub fn read(path: &Path, assumed: &Identity) -> Result<Self> {
        if path.extension().is_none_or(|ending| ending != "safetensors") {
            return Self::read_npz(path, assumed);
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let (header, tensors) = parse(path, &bytes)?;
        let invalid = |reason| invalid(path, reason);
        let values = |name: &str| -> Result<Vec<f64>> {
            let tensor = tensors.tensor(name).map_err(|error| invalid(format!("tensor {name}: {error}")))?;
            match tensor.dtype() {
                Dtype::F64 => Ok(tensor.data().as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()),
                Dtype::F32 => Ok(tensor.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect()),
                other => Err(invalid(format!("tensor {name} is {other:?}"))),
            }
        };
        let (mean, packed) = (values("mean")?, values("covariance")?);
        let dim = mean.len();
        if dim == 0 || dim > MAX_DIM || packed.len() != dim * (dim + 1) / 2 {
            return Err(invalid(format!("mean has {dim} entries and the covariance's triangle {}", packed.len())));
        }
        let at = |i: usize, j: usize| packed[i * dim - i * (i + 1) / 2 + j];
        let covariance = Mat::from_fn(dim, dim, |i, j| at(i.min(j), i.max(j)));
        let gaussian = Gaussian::new(mean, covariance).map_err(|error| invalid(error.to_string()))?;
        let Header { identity, dataset, count, key, .. } = header;
        Ok(Statistics { identity, dataset, count, key, gaussian })
    }

    /// Every image's features, where a file of ours keeps them.
    ///
    /// # Errors
    /// Where the file is damaged, or has those of another number of images or features, or some that are not finite.
    pub fn rows(path: &Path) -> Result<Option<StoredRows>> {
        if path.extension().is_none_or(|ending| ending != "safetensors") {
            return Ok(None);
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let (Header { count, .. }, tensors) = parse(path, &bytes)?;
        let Ok(tensor) = tensors.tensor(ROWS) else { return Ok(None) };
        let dim = tensors.tensor("mean").map_or(0, |mean| mean.shape().iter().product());
        let expected = [count as usize, dim];
        if tensor.dtype() != Dtype::F32 || tensor.shape() != expected {
            let found = format!("{ROWS} are {:?} of {:?}", tensor.dtype(), tensor.shape());
            return Err(invalid(path, format!("{found}, of images and features {expected:?}")));
        }
        let features: Vec<f32> = tensor.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        if let Some(at) = features.iter().position(|value| !value.is_finite()) {
            return Err(invalid(path, format!("{ROWS} of image {} are not finite", at / dim.max(1))));
        }
        // Those of other images, or changed since, would be measured beside moments that are not theirs.
        let mean = tensors.tensor("mean").map_err(|error| invalid(path, error.to_string()))?;
        let stored = mean.data().as_chunks().0.iter().map(|&b| f64::from_le_bytes(b));
        let mut sums = vec![0.0; dim];
        for row in features.chunks(dim.max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let differs = |(sum, mean): (f64, f64)| (sum / count as f64 - mean).abs() > 1e-9 * (1.0 + mean.abs());
        if mean.dtype() != Dtype::F64 || sums.into_iter().zip(stored).any(differs) {
            return Err(invalid(path, format!("{ROWS} are not those that the mean is of")));
        }
        Ok(Some(StoredRows { images: count as usize, features }))
    }

    fn read_npz(path: &Path, assumed: &Identity) -> Result<Self> {
        let [mu, sigma] = npz_names(assumed);
        let ((shape, mean), (sigma_shape, values)) = (read_npz_f64(path, mu)?, read_npz_f64(path, sigma)?);
        let dim = mean.len();
        if shape.len() != 1 || dim == 0 || dim > MAX_DIM || sigma_shape != [dim as u64; 2] {
            return Err(Error::invalid(
                path,
                format!("{mu} has shape {shape:?} and {sigma} {sigma_shape:?}; expected [d] and [d, d]"),
            ));
        }
        let covariance = Mat::from_fn(dim, dim, |i, j| values[i * dim + j]);
        let gaussian = Gaussian::new(mean, covariance).map_err(|error| Error::invalid(path, error))?;
        Ok(Statistics { identity: assumed.clone(), dataset: String::new(), count: 0, key: String::new(), gaussian })
    }

    /// Checks that these statistics live in the feature space `expected`.
    ///
    /// # Errors
    /// Naming `path` and the first difference.
    pub fn expect(&self, expected: &Identity, path: &Path) -> Result<()> {
        let found = &self.identity;
        let alike = (&found.extractor, &found.weights) == (&expected.extractor, &expected.weights);
        if let (true, Some(theirs), Some(ours)) = (alike, Protocol::of(found), Protocol::of(expected))
            && theirs != ours
        {
            let (theirs, ours) = (theirs.name(), ours.name());
            return Err(Error::invalid(
                path,
                format!("statistics do not match: they are of protocol '{theirs}', expected '{ours}'"),
            ));
        }
        let fields = [
            ("extractor", &found.extractor, &expected.extractor),
            ("weight hash", &found.weights, &expected.weights),
            ("image preparation", &found.preparation, &expected.preparation),
        ];
        match fields.into_iter().find(|(_, found, expected)| found != expected) {
            Some((what, found, expected)) => Err(Error::invalid(
                path,
                format!("statistics do not match: {what} is '{found}', expected '{expected}'"),
            )),
            None => Ok(()),
        }
    }
}

/// Origin and tensors of a file's bytes.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Header, SafeTensors<'a>)> {
    let invalid = |reason| invalid(path, reason);
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| invalid(error.to_string()))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| invalid(error.to_string()))?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let header: Header = serde_json::from_str(entry.ok_or_else(|| invalid("no origin in the metadata".into()))?)
        .map_err(|error| invalid(format!("origin: {error}")))?;
    if header.format != FORMAT {
        return Err(invalid(format!("format is '{}'", header.format)));
    }
    Ok((header, tensors))
}

fn invalid(path: &Path, reason: String) -> Error {
    Error::invalid(path, format!("{reason}; expected a statistics file written by `fewstep stats`"))
}

/// The arrays of an `.npz` that statistics in this feature space lie in.
fn npz_names(identity: &Identity) -> [&'static str; 2] {
    if identity.extractor == SPATIAL_NAME { ["mu_s", "sigma_s"] } else { ["mu", "sigma"] }
}
