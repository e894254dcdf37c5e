//! Marks of processes: which process a session lives in, and whether that process is gone. Linux's `/proc`; where there
//! is none, nothing is known and leases decide alone.

use std::fmt;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// A process, told apart from every other one of its machine since it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProcessMark {
    /// The kernel's random name of this boot.
    boot: String,
    /// The PID namespace: two containers on one folder number their processes alike.
    namespace: String,
    pid: i32,
    /// When it started, in clock ticks since the boot: numbers are used again.
    start: u64,
}

/// A text that is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoMark;

impl ProcessMark {
    /// The mark of this process; `None` where `/proc` is missing or another namespace's.
    pub(super) fn of_this_process() -> Option<Self> {
        let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let namespace = fs_err::read_link("/proc/self/ns/pid").ok()?.to_str()?.to_owned();
        let pid: i32 = fs_err::read_link("/proc/self").ok()?.to_str()?.parse().ok()?;
        if i64::from(pid) != i64::from(std::process::id()) {
            return None;
        }
        let (_, start) = state_and_start(pid)?;
        let spaced = boot.contains(' ') || namespace.contains(' ');
        (!spaced).then_some(Self { boot, namespace, pid, start })
    }

    /// Whether this process is gone, as `own` can see. Another boot may be another machine's on a shared folder, and
    /// another namespace's numbers mean nothing here: both are in doubt.
    pub(super) fn is_gone_for(&self, own: &Self) -> bool {
        if self.boot != own.boot || self.namespace != own.namespace {
            return false;
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        // `/proc` may hide other people's processes; the signal that is none does not.
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        // A dead process that its parent has not waited for holds nothing any more.
        state_and_start(self.pid)
            .is_some_and(|(state, start)| start != self.start || matches!(state, 'Z' | 'X'))
    }
}

impl fmt::Display for ProcessMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.boot, self.namespace, self.pid, self.start)
    }
}

impl FromStr for ProcessMark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(NoMark);
        let (boot, namespace) = (word()?.to_owned(), word()?.to_owned());
        let pid = word()?.parse().map_err(|_| NoMark)?;
        let start = word()?.parse().map_err(|_| NoMark)?;
        Ok(Self { boot, namespace, pid, start })
    }
}

/// State and start of a process: fields 3 and 22 of its `stat` (proc_pid_stat(5)), counted after the name, which may
/// hold blanks and parentheses itself.
fn state_and_start(pid: i32) -> Option<(char, u64)> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_only_when_that_is_certain() {
        let own = ProcessMark::of_this_process().unwrap();
        assert_eq!(own.to_string().parse(), Ok(own.clone()));
        assert!(!own.is_gone_for(&own));
        let reused = ProcessMark { start: own.start + 1, ..own.clone() };
        assert!(reused.is_gone_for(&own), "the number belongs to another process now");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        let (_, start) = state_and_start(pid).unwrap();
        let mark = ProcessMark { pid, start, ..own.clone() };
        assert!(!mark.is_gone_for(&own));
        child.kill().unwrap();
        let dead = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            mark.is_gone_for(&own)
        });
        assert!(dead, "killed, and not yet waited for");
        child.wait().unwrap();
        assert!(mark.is_gone_for(&own));
        for elsewhere in [
            ProcessMark { boot: "another".into(), ..mark.clone() },
            ProcessMark { namespace: "pid:[1]".into(), ..mark },
        ] {
            assert!(!elsewhere.is_gone_for(&own), "another machine or container: {elsewhere}");
        }
        assert_eq!("".parse::<ProcessMark>(), Err(NoMark));
    }
}
