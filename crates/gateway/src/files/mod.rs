//! Files on their way between front ends and the attachments service, whichever language asked for them: forms that are
//! read as they come, bytes that are passed on at once, answers with ranges. What is said when something goes wrong is
//! the room's.

mod download;
mod form;
mod transfer;

pub(crate) use download::{Conditions, Link, serve, signature};
pub(crate) use form::{File, Form, Shape};
pub(crate) use transfer::Transfer;
