//! What goes wrong: a file for each kind of fault.
