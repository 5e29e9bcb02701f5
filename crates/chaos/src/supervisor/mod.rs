//! The servers and processes that a scenario needs, as children that can be ended, killed and frozen.
