//! `features`: what this runtime can do (features.md).

use serde_json::json;

use crate::{SPEC_VERSION, error::Result, output, translate::SECCOMP_FLAGS};

pub(super) fn features() -> Result<()> {
    let flags = SECCOMP_FLAGS.map(|(name, _)| name);
    let unsupported = json!({ "enabled": false });
    let features = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        ],
        "mountOptions": container::mount::known_options(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "cgroup": {
                "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true,
            },
            "seccomp": {
                "enabled": true,
                "actions": [
                    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                    "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",
                    "SCMP_ACT_TRAP",
                ],
                "operators": [
                    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                    "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
                ],
                "archs": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
                "knownFlags": flags,
                "supportedFlags": flags,
            },
            "apparmor": unsupported,
            "selinux": unsupported,
            "intelRdt": unsupported,
            "mountExtensions": { "idmap": { "enabled": true } },
        },
        "annotations": {},
    });
    output::line(format_args!("{features:#}"))?;
    Ok(())
}
