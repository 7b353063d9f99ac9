//! Plain web forms: a landing page that posts straight to us. The daemon is the vendor here.

mod options;

pub use options::{Captcha, CaptchaProvider, OnCaptchaUnavailable, WebFormOptions};
