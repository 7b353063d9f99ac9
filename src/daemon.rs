//! Builds all from a Config, runs it, stops it.
