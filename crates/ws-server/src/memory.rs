//! The limits that the system sets for this process: memory and descriptors.
//!
//! Everything is read from files, below a root that a test can lay out itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The memory that is assumed where the system does not say, in bytes.
const UNKNOWN: u64 = 4 << 30;

/// Where control groups are mounted on most systems. A mount that `mountinfo` names differently is looked at, too.
const V2_MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const V1_MOUNTS: [&str; 1] = ["/sys/fs/cgroup/memory"];

/// The files of a control group that limit its memory, in bytes. Above `memory.high`, version 2 does not end a process
/// but slows it down to a crawl, so that is a limit as well.
const V2_LIMITS: [&str; 2] = ["memory.max", "memory.high"];
const V1_LIMITS: [&str; 1] = ["memory.limit_in_bytes"];

/// The memory that this process can have, in bytes: the least of the machine's, of the limits of its control groups, and
/// of its resource limits.
pub(crate) fn available() -> u64 {
    available_in(Path::new("/"))
}

/// The number of files that this process may open; `None` where that is not known or not limited.
pub(crate) fn max_descriptors() -> Option<u64> {
    resource_limit(Path::new("/"), "Max open files")
}

/// The number of files that this process has open; `None` where that is not known.
pub(crate) fn open_descriptors() -> Option<usize> {
    fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

fn available_in(root: &Path) -> u64 {
    let machine = read(root, "/proc/meminfo").and_then(|text| mem_total(&text));
    // An address space holds more than memory, so this errs on the safe side.
    let rlimits = ["Max address space", "Max data size"].map(|name| resource_limit(root, name));
    machine
        .into_iter()
        .chain(control_groups(root))
        .chain(rlimits.into_iter().flatten())
        .min()
        .unwrap_or(UNKNOWN)
}

/// Reads `MemTotal` out of Linux's `meminfo`.
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Reads the soft limit in the line of Linux's `/proc/self/limits` that begins with `name`.
fn resource_limit(root: &Path, name: &str) -> Option<u64> {
    let limits = read(root, "/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The limits of this process's control groups and of every group above them: a group that sets no limit has that of its
/// parent, which only the parent's file shows.
fn control_groups(root: &Path) -> Vec<u64> {
    let own = read(root, "/proc/self/cgroup").unwrap_or_default();
    let mountinfo = read(root, "/proc/self/mountinfo").unwrap_or_default();
    let mut limits = Vec::new();
    for line in own.lines() {
        // `hierarchy:controllers:path`; the controllers of version 2 are empty.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (mut mounts, files): (Vec<_>, &[&str]) = if controllers.is_empty() {
            (mounts(&mountinfo, |kind, _| kind == "cgroup2"), &V2_LIMITS)
        } else if controllers.split(',').any(|name| name == "memory") {
            let has_memory = |options: &str| options.split(',').any(|name| name == "memory");
            (mounts(&mountinfo, |kind, options| kind == "cgroup" && has_memory(options)), &V1_LIMITS)
        } else {
            continue;
        };
        let usual: &[&str] = if controllers.is_empty() { &V2_MOUNTS } else { &V1_MOUNTS };
        mounts.extend(usual.iter().map(|point| Mount { root: "/".to_owned(), point: (*point).to_owned() }));
        for mount in mounts {
            for folder in mount.folders(path) {
                let texts = files.iter().filter_map(|file| read(root, &format!("{folder}/{file}")));
                // `max` stands for no limit, and in version 1 a number beyond any memory.
                limits.extend(texts.filter_map(|text| text.trim().parse::<u64>().ok()));
            }
        }
    }
    limits
}

/// Where a part of a hierarchy of control groups is mounted.
struct Mount {
    /// The group that is at `point`.
    root: String,
    point: String,
}

impl Mount {
    /// The folders of the group at `path` in the hierarchy and of all groups above it, as far as they are mounted.
    fn folders(&self, path: &str) -> Vec<String> {
        // A group outside of this mount, such as `/..` in a namespace of its own, leaves the mount's root.
        let below = path.strip_prefix(self.root.trim_end_matches('/')).unwrap_or_default();
        let names: Vec<&str> = below.split('/').filter(|name| !name.is_empty()).collect();
        let names = if names.contains(&"..") { &[][..] } else { &names };
        let folder = |depth: usize| {
            let below = names.iter().take(depth).copied();
            [self.point.as_str()].into_iter().chain(below).collect::<Vec<_>>().join("/")
        };
        (0..=names.len()).map(folder).collect()
    }
}

/// The mounts in Linux's `mountinfo` whose file system and options are `wanted`.
fn mounts(mountinfo: &str, wanted: impl Fn(&str, &str) -> bool) -> Vec<Mount> {
    let mount = |line: &str| {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?.to_owned(), mount.next()?.to_owned());
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1)?);
        wanted(kind, options).then_some(Mount { root, point })
    };
    mountinfo.lines().filter_map(mount).collect()
}

fn read(root: &Path, path: &str) -> Option<String> {
    let path: PathBuf = root.join(path.trim_start_matches('/'));
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, process};

    const MIB: u64 = 1 << 20;

    /// A folder that has these files, and is gone in the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            use std::sync::atomic::{AtomicUsize, Ordering};
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let root = env::temp_dir().join(format!("ws-server-memory-{}-{number}", process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_machine_has_what_meminfo_says() {
        let meminfo = "MemTotal:       24592068 kB\nMemFree:        20000000 kB\n";
        assert_eq!(mem_total(meminfo), Some(24_592_068 * 1024));
        for text in
            ["", "MemTotal: x kB", "MemTotal: 5", "MemFree: 5 kB", "MemTotal: 18446744073709551615 kB"]
        {
            assert_eq!(mem_total(text), None, "{text}");
        }
        assert!(available() > MIB);
        assert_eq!(available_in(Path::new("/nothing/here")), UNKNOWN);
    }

    #[test]
    fn the_least_limit_holds() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let v1 = "33 25 0:29 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                  34 25 0:30 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n";
        let docker_v1 = "33 25 0:29 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let elsewhere = "30 23 0:26 / /cgroups rw - cgroup2 none rw\n";
        let limits = |soft: u64| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             unlimited            unlimited            bytes     \n\
                 Max open files            1024                 524288               files     \n\
                 Max address space         {soft}            unlimited            bytes     \n"
            )
        };
        let address_space = limits(512 * MIB);
        let (mib_64, mib_128, mib_256) = ("67108864\n", "134217728\n", "268435456\n");
        let unlimited_v1 = "9223372036854771712\n";
        let row = |name, own, mountinfo, files: &[(&'static str, &'static str)], expect: u64| {
            (name, own, mountinfo, files.to_vec(), expect * MIB)
        };
        let rows = [
            row("nothing but the machine", "0::/\n", v2, &[], 1024),
            row("v2, no limit", "0::/a\n", v2, &[("sys/fs/cgroup/a/memory.max", "max\n")], 1024),
            row("v2, in a namespace", "0::/\n", v2, &[("sys/fs/cgroup/memory.max", mib_256)], 256),
            row("v2, a unit", "0::/s/ws\n", v2, &[("sys/fs/cgroup/s/ws/memory.max", mib_256)], 256),
            row(
                "v2, the slice above a unit",
                "0::/s/ws\n",
                v2,
                &[("sys/fs/cgroup/s/ws/memory.max", "max\n"), ("sys/fs/cgroup/s/memory.max", mib_128)],
                128,
            ),
            row(
                "v2, throttled",
                "0::/s\n",
                v2,
                &[("sys/fs/cgroup/s/memory.max", mib_256), ("sys/fs/cgroup/s/memory.high", mib_64)],
                64,
            ),
            row("v2, a sibling's", "0::/s/ws\n", v2, &[("sys/fs/cgroup/s/x/memory.max", mib_64)], 1024),
            row(
                "v2, outside of the namespace",
                "0::/../x\n",
                v2,
                &[("sys/fs/cgroup/memory.max", mib_64)],
                64,
            ),
            row("v2, mounted elsewhere", "0::/a\n", elsewhere, &[("cgroups/a/memory.max", mib_64)], 64),
            row("v2, mountinfo cannot be read", "0::/a\n", "", &[("sys/fs/cgroup/a/memory.max", mib_64)], 64),
            row(
                "v1",
                "5:cpu,memory:/a\n0::/\n",
                v1,
                &[("sys/fs/cgroup/memory/a/memory.limit_in_bytes", mib_128)],
                128,
            ),
            row(
                "v1, without a limit",
                "4:memory:/\n",
                v1,
                &[("sys/fs/cgroup/memory/memory.limit_in_bytes", unlimited_v1)],
                1024,
            ),
            row(
                "v1, above",
                "4:memory:/a/b\n",
                v1,
                &[
                    ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", unlimited_v1),
                    ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", mib_64),
                ],
                64,
            ),
            row(
                "v1, a container",
                "4:memory:/docker/1f\n",
                docker_v1,
                &[("sys/fs/cgroup/memory/memory.limit_in_bytes", mib_64)],
                64,
            ),
            row(
                "v1, below a container's root",
                "4:memory:/docker/1f/in\n",
                docker_v1,
                &[("sys/fs/cgroup/memory/in/memory.limit_in_bytes", mib_64)],
                64,
            ),
            row(
                "another controller of v1",
                "7:cpu:/a\n",
                v1,
                &[("sys/fs/cgroup/cpu/a/memory.max", mib_64)],
                1024,
            ),
        ];
        for (name, own, mountinfo, files, expect) in rows {
            let mut all = vec![
                ("proc/meminfo", "MemTotal: 1048576 kB\n"),
                ("proc/self/cgroup", own),
                ("proc/self/mountinfo", mountinfo),
            ];
            all.extend(files);
            let tree = Tree::new(&all);
            assert_eq!(available_in(&tree.0), expect, "{name}");
            fs::write(tree.0.join("proc/self/limits"), &address_space).unwrap();
            assert_eq!(
                available_in(&tree.0),
                expect.min(512 * MIB),
                "{name}, and an address space of 512 MiB"
            );
        }
    }

    #[test]
    fn descriptors_are_counted_and_limited() {
        let limits = "Max open files            1024                 524288               files     \n";
        let tree = Tree::new(&[("proc/self/limits", limits)]);
        assert_eq!(resource_limit(&tree.0, "Max open files"), Some(1024));
        assert_eq!(resource_limit(&tree.0, "Max address space"), None);
        if cfg!(target_os = "linux") {
            assert!(open_descriptors() >= Some(3) && max_descriptors() > Some(3));
        }
    }
}
