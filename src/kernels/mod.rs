//! Pure functions over slices: no I/O, no dataflow, no topology. They cannot fail.

pub mod aggregate;
pub mod prefetch;
pub mod seeded;
