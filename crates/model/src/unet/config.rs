//! Shape of a U-Net.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The family of a [`UNet`](crate::UNet).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// DDPM's and improved-diffusion's.
    #[default]
    #[serde(rename = "ddpm")]
    Ddpm,
    /// DDPM++ (Song et al. 2021, arXiv 2011.13456, appendix H) as EDM has it (Karras et al. 2022, arXiv 2206.00364): every residual
    /// sum, attention's too, times √½; up and down by residual blocks, on means of 2×2 and on repeated pixels, with a 1×1 convolution
    /// beside; on the way up attention in the last block of a level alone; the first convolution as wide as `model_channels`; and
    /// `norm_groups` groups only where each has four channels.
    #[serde(rename = "ddpm++")]
    DdpmPlusPlus,
}

impl Form {
    fn is_ddpm(&self) -> bool {
        *self == Form::Ddpm
    }
}

/// Shape of a [`UNet`](crate::UNet).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Factor of the pixel-unshuffle in front of the network and the shuffle behind it; 1 for none.
    #[serde(default = "one")]
    pub patch: usize,
    /// Channels of the images.
    #[serde(default = "three")]
    pub channels: usize,
    /// Channels of the first level; the others are multiples.
    pub model_channels: usize,
    /// Multiple of `model_channels` on each level.
    pub channel_mult: Vec<usize>,
    /// Residual blocks on each level.
    pub num_res_blocks: usize,
    /// Down-sampling factors, counted after `patch`, at which there is attention; the middle always has it.
    pub attention_ds: Vec<usize>,
    /// Attention heads.
    #[serde(default = "one")]
    pub num_heads: usize,
    /// Channels of an attention head, which then says how many there are; `num_heads` is not used.
    #[serde(default)]
    pub head_channels: Option<usize>,
    /// Whether the time embedding scales and shifts the normalised features, or is added to them.
    pub scale_shift: bool,
    /// Dropout in training.
    #[serde(default)]
    pub dropout: f64,
    /// Whether the network gives a variance behind its prediction: twice the channels, of which the first half counts.
    #[serde(default)]
    pub learn_sigma: bool,
    /// Groups of every group normalisation.
    #[serde(default = "thirty_two")]
    pub norm_groups: usize,
    /// ε of every group normalisation.
    #[serde(default = "openai_epsilon")]
    pub norm_epsilon: f64,
    /// Whether the time embedding is (sin, cos), as diffusers has it, or (cos, sin), as OpenAI.
    #[serde(default)]
    pub sin_first: bool,
    /// The frequencies of the time embedding fall to 1/10000 over half its width minus this.
    #[serde(default)]
    pub frequency_shift: usize,
    /// Whether the attention in the middle is not normalised, as diffusers has it beside scale-shift norm.
    #[serde(default)]
    pub bare_middle: bool,
    /// Whether down-sampling pads on the right and below only, or on all sides.
    #[serde(default)]
    pub pad_after: bool,
    /// The family.
    // What networks had before there were others is not written: what they are known by stays.
    #[serde(default, skip_serializing_if = "Form::is_ddpm")]
    pub form: Form,
    /// Classes that an image may be of, told to the network beside the time; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
}

impl Default for UNetConfig {
    /// What improved-diffusion calls its defaults, for images of 32×32.
    fn default() -> Self {
        UNetConfig {
            patch: 1,
            channels: 3,
            model_channels: 128,
            channel_mult: vec![1, 2, 2, 2],
            num_res_blocks: 2,
            attention_ds: vec![2, 4],
            num_heads: 4,
            head_channels: None,
            scale_shift: true,
            dropout: 0.0,
            learn_sigma: false,
            norm_groups: thirty_two(),
            norm_epsilon: openai_epsilon(),
            sin_first: false,
            frequency_shift: 0,
            bare_middle: false,
            pad_after: false,
            form: Form::Ddpm,
            classes: 0,
        }
    }
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

fn thirty_two() -> usize {
    32
}

fn openai_epsilon() -> f64 {
    1e-5
}

impl UNetConfig {
    /// Checks that such a network can be built.
    ///
    /// # Errors
    /// Naming the field.
    pub fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::Config(reason));
        let limits = [
            ("patch", self.patch, 16),
            ("channels", self.channels, 16),
            ("model_channels", self.model_channels, 4096),
            ("num_res_blocks", self.num_res_blocks, 64),
            ("num_heads", self.num_heads, 256),
            ("norm_groups", self.norm_groups, 1024),
            ("head_channels", self.head_channels.unwrap_or(1), 4096),
        ];
        if let Some((name, value, limit)) = limits.into_iter().find(|&(_, value, limit)| value == 0 || value > limit) {
            return refuse(format!("{name} is {value}; expected 1 to {limit}"));
        }
        if self.channel_mult.is_empty()
            || self.channel_mult.len() > 8
            || self.channel_mult.iter().any(|&m| m == 0 || m > 64)
        {
            return refuse(format!("channel_mult is {:?}; expected 1 to 8 numbers from 1 to 64", self.channel_mult));
        }
        if self.form.is_ddpm() && !self.model_channels.is_multiple_of(self.norm_groups) {
            let (channels, groups) = (self.model_channels, self.norm_groups);
            return refuse(format!("model_channels is {channels}; expected a multiple of {groups}"));
        }
        if !self.model_channels.is_multiple_of(2) || self.frequency_shift >= self.model_channels / 2 {
            return refuse("model_channels is too small or odd for a time embedding".into());
        }
        let (name, divisor) = match self.head_channels {
            Some(channels) => ("head_channels", channels),
            None => ("num_heads", self.num_heads),
        };
        if self.channel_mult.iter().any(|m| !(m * self.model_channels).is_multiple_of(divisor)) {
            return refuse(format!("{name} is {divisor}, which does not divide the channels"));
        }
        if self.classes > 1 << 16 || (self.classes > 0 && self.scale_shift) {
            return refuse(format!("classes is {}; expected at most 65536, and none beside scale_shift", self.classes));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(format!("dropout is {}; expected 0 to 1", self.dropout));
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return refuse(format!("norm_epsilon is {}; expected a small positive number", self.norm_epsilon));
        }
        Ok(())
    }

    /// Attention heads over `channels`.
    pub(crate) fn heads(&self, channels: usize) -> usize {
        self.head_channels.map_or(self.num_heads, |width| channels / width)
    }

    /// Groups of a normalisation of `channels`.
    pub(crate) fn groups(&self, channels: usize) -> usize {
        match self.form {
            Form::Ddpm => self.norm_groups,
            Form::DdpmPlusPlus => self.norm_groups.min((channels / 4).max(1)),
        }
    }

    /// Channels of the first convolution.
    pub(crate) fn stem(&self) -> usize {
        match self.form {
            Form::Ddpm => self.model_channels * self.channel_mult[0],
            Form::DdpmPlusPlus => self.model_channels,
        }
    }

    /// Channels that the network gives, patched.
    pub(crate) fn outputs(&self) -> usize {
        self.channels * self.patch * self.patch * if self.learn_sigma { 2 } else { 1 }
    }

    /// What the image sides must be multiples of.
    pub fn side_multiple(&self) -> usize {
        self.patch << (self.channel_mult.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Networks are known by a hash of this text: what came later is not in it where it says nothing.
    #[test]
    fn what_networks_are_known_by_stays() {
        let text = serde_json::to_string(&UNetConfig::default()).unwrap();
        let expected = r#"{"patch":1,"channels":3,"model_channels":128,"channel_mult":[1,2,2,2],"num_res_blocks":2,"attention_ds":[2,4],"num_heads":4,"head_channels":null,"scale_shift":true,"dropout":0.0,"learn_sigma":false,"norm_groups":32,"norm_epsilon":0.00001,"sin_first":false,"frequency_shift":0,"bare_middle":false,"pad_after":false}"#;
        assert_eq!(text, expected);
        let config = UNetConfig { form: Form::DdpmPlusPlus, classes: 10, ..UNetConfig::default() };
        let text = serde_json::to_string(&config).unwrap();
        assert!(text.ends_with(r#","form":"ddpm++","classes":10}"#), "{text}");
        assert_eq!(serde_json::from_str::<UNetConfig>(&text).unwrap(), config);
    }

    #[test]
    fn ddpm_plus_plus_has_fewer_groups_on_few_channels() {
        let config = UNetConfig { form: Form::DdpmPlusPlus, ..UNetConfig::default() };
        assert_eq!([3, 8, 40, 128, 384].map(|channels| config.groups(channels)), [1, 2, 10, 32, 32]);
        assert_eq!([config.stem(), UNetConfig { channel_mult: vec![2, 2], ..config }.stem()], [128, 128]);
    }
}
