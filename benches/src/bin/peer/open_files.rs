//! How many files, and so sockets, a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Result;

/// Lets this process have as many as it may.
pub(crate) fn allow_all() -> Result {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}
