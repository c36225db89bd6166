//! The units of `packaging/systemd` under a real systemd, which is the first process of a small machine in namespaces of
//! its own, with BIRD on the other end of a link: what `systemctl` promises to an operator is what happens.
//!
//! It needs root, `systemd`, `bird2` and a kernel with cgroup2; the host's own service manager is not touched.

mod bed;
mod bounds;
mod files;
mod life;
mod machine;
mod off;
