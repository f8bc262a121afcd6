//! Beside which metric a published figure belongs, and why the two do not compare.

use crate::metric;

/// Where a published figure belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relevance {
    /// The metric beside which it is shown.
    pub metric: &'static str,
    /// Why it does not compare with what is measured here: `not comparable because ...`.
    pub differs: &'static str,
}

/// Where figures of that quantity belong; `None` of a quantity that the table does not know.
pub(crate) fn of(quantity: &str) -> Option<Relevance> {
    let listed = |(quantities, ..): &&(&str, _, _)| {
        quantities.split_whitespace().any(|known| match known.strip_suffix('*') {
            Some(start) => quantity.starts_with(start),
            None => quantity == known,
        })
    };
    let &(_, metric, differs) = TABLE.iter().find(listed)?;
    Some(Relevance { metric, differs })
}

/// Quantities of the collection, the metric beside which they are shown, and what differs. A star
/// stands for any end; the first line that fits counts.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "boot_* guest_boot_* kernel_start_in_firecracker vm_boot",
        metric::LINUX_FIRST_BYTE,
        "another guest, another kernel and another machine, and the clock runs to another event",
    ),
    (
        "process_lifetime_*",
        metric::LINUX_FIRST_BYTE,
        "it runs until the guest has powered off, not to the first byte",
    ),
    ("vmm_start_*", metric::LINUX_ENTERED, "it is the monitor's own start, before any guest runs"),
    (
        "start_total namespace_share image_size_effect docker_basic_rate create_destroy_lifecycle \
         edera_start_penalty network_startup_blowup",
        metric::STARTUP_DOCKERD_FIRST_BYTE,
        "a whole daemon with its network, images and storage on another machine",
    ),
    (
        "run_bin_true run_ls create_start_delete container_init startup cold_start* \
         speedup_vs_* zygote_extra_speedup python_import_cost snapstart function_deploy \
         orchestration_rate clone_under_contention",
        metric::STARTUP_COLD_FIRST_BYTE,
        "another program is started on another machine, and most run until the program has ended",
    ),
    (
        "process_* thread_create_join fork_exec_rate virtine_startup kvm_create_* pooled_vm_start \
         reset_to_long_mode kvm_srcu_cost",
        metric::STARTUP_CREATED,
        "another processor, and the clock runs to the end of the call rather than to this event",
    ),
    (
        "linpack_gflops compute_guest_performance production_overhead nested_overhead \
         nested_paging_opt papers_ignoring_uncertainty benchmarking_crimes",
        metric::COMPUTE_SPIN,
        "other programs on all cores of another machine, not one loop of integers on one",
    ),
    (
        "stream_triad",
        metric::MEMORY_BANDWIDTH,
        "all cores of two sockets of 2013; here it is one core",
    ),
    (
        "randomaccess_*",
        metric::MEMORY_LATENCY,
        "updates of many cores at once; here it is one chain of loads",
    ),
    (
        "ept_fault_speedup",
        metric::MEMORY_TOUCH,
        "nested virtualization with another way of handling faults",
    ),
    (
        "KVM_RUN_* vmcall_exit vmexit_* ipi_latency world_switch exit_latency_reduction",
        metric::CROSSING,
        "an exit of a processor with hardware virtualization, most of them only to the kernel",
    ),
    (
        "syscall_cost getpid added_latency",
        metric::CROSSING,
        "the system call of another kernel with other mitigations on another processor",
    ),
    (
        "vmm_memory_overhead* memory_* min_memory_hello pod_overhead",
        metric::FOOTPRINT_MEMORY,
        "another way of counting: mapped or given memory, not the proportional share of an idle one",
    ),
    (
        "image_size*",
        metric::FOOTPRINT_DISK,
        "another program, counted by the length of its file, not by blocks",
    ),
    (
        "density* deployed",
        metric::DENSITY_COUNT,
        "a larger machine filled to its limit; here the run's own budget ends it",
    ),
    (
        "creation_rate demo_mass_launch start_rate spawn_100_wallclock",
        metric::DENSITY_LAST,
        "many are started at the same time on many cores; here one after the other",
    ),
    (
        "snapshot_* checkpoint_save_restore fork_snapshot_vm restore_speedup",
        metric::LINUX_RESTORE,
        "another guest with other memory on another machine",
    ),
    (
        "cfs_* cpu_max_burst throttle_*",
        metric::SLICES_QUOTA10_GAP,
        "a setting of the kernel, or what it did to another program with other quotas",
    ),
    (
        "eevdf_base_slice",
        metric::SLICES_NORMAL_SLICE,
        "the scheduler's setting; a turn also ends by ticks and by others that wake up",
    ),
    ("fio_*", metric::IO_DISK, "operations a second of another disk behind another driver"),
    (
        "tcp_rr_latency udp_rr_latency bulk_tx_10GbE net_throughput iperf3_* nginx_throughput \
         redis_get udp_kvs",
        metric::IO_NETWORK,
        "another network, protocol and program on another machine",
    ),
    (
        "allowed_syscalls host_syscalls_used seccomp_default_blocked exec_kernel_code loc cve",
        metric::PROBE_WAY_OUT,
        "it says how large a surface is or where it broke, not what this run can see",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        assert_eq!(of("process_lifetime_p50").unwrap().metric, metric::LINUX_FIRST_BYTE);
        assert_eq!(of("process_start").unwrap().metric, metric::STARTUP_CREATED);
        assert_eq!(of("weather"), None);
    }
}
