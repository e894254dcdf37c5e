//! One HTTP client builder, retry policy and error type for agent and controller. Empty until the controller serves HTTP.
//!
//! May import: `model`, `protocol`.
