//! What to do, to say and to ask.

use super::{Answerer, Way};
use crate::{
    Scene,
    script::{Case, Key, Script, Step, Words},
};

/// Three kinds of I/O out of a guest, and who handles the exits.
pub const SCRIPT: Script = Script {
    title: Words("1000 bytes from a guest to the host", "从客户机输出 1000 个字节"),
    minutes: 10,
    needs: Words(
        "For the lecture on virtual devices. Needs /dev/kvm, and root only if the user may not open it. Each guest runs at full speed and is then replayed in slow motion.",
        "配合虚拟设备一讲。需要 /dev/kvm；有权打开它就不需要 root。每个客户机先全速运行，结束后再慢速回放。",
    ),
    keys: &[
        Key('f', Words("full", "全虚拟化")),
        Key('p', Words("para", "半虚拟化")),
        Key('d', Words("passthrough", "直通")),
        Key('k', Words("cpuid", "cpuid")),
    ],
    steps: &[
        Step {
            key: None,
            say: Words(
                "A guest runs directly on the processor until it needs something outside its memory. Then the processor stops it: a VM exit. This guest has 1000 bytes for the host.",
                "客户机直接在处理器上运行，直到它访问自己内存以外的东西，这时处理器让它停下：这就是虚拟机退出（VM exit）。它有 1000 个字节要交给宿主机。",
            ),
            ask: Words(
                "How many exits with a serial port, with shared memory, with its own device? Write down three numbers.",
                "用串口、用共享内存、用独占的设备，各需要退出多少次？先写下三个数。",
            ),
        },
        Step {
            key: Some('f'),
            say: Words(
                "Full virtualization: the guest writes to port 0x3f8 as on any PC. Each time KVM_RUN returns, and isolab emulates the chip: QEMU's role.",
                "全虚拟化：客户机像在普通 PC 上一样写端口 0x3f8。每写一次，KVM_RUN 返回一次，由 isolab 模拟串口芯片：这是 QEMU 的角色。",
            ),
            ask: Words(
                "A real driver reads the line status register before every byte. How many exits is that? (2000.)",
                "真正的驱动程序每写一个字节之前，都要读一次线路状态寄存器。那是多少次退出？（2000 次。）",
            ),
        },
        Step {
            key: Some('p'),
            say: Words(
                "Paravirtualization: the guest knows that it is a guest. It writes all bytes to shared memory, then rings the doorbell once. virtio does this, with queues.",
                "半虚拟化：客户机知道自己是客户机。它把所有字节写进共享内存，再写一次门铃端口。virtio 就是这样，只是多了队列。",
            ),
            ask: Words(
                "The guest states the number of bytes. What must isolab do with it? (Check it: the guest may lie.)",
                "字节数由客户机给出。isolab 拿到这个数必须做什么？（检查：客户机可能撒谎。）",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "Passthrough: the device's page is mapped into the guest; only powering off is an exit. Our device is a page that isolab reads; a real card needs VFIO and an IOMMU.",
                "直通：设备的页映射进客户机内存，只有关机时退出一次。这里的设备是 isolab 读取的一页内存；真实网卡需要 VFIO 和 IOMMU。",
            ),
            ask: Words(
                "With nobody in between, what is no longer possible? (Sharing the device, limiting it, migrating the guest.)",
                "中间没有人经手，什么事就做不到了？（共享设备、限速、把客户机迁移到别的主机。）",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "Not every exit goes to QEMU: KVM handles many in the kernel, and isolab only sees a count.",
                "不是每次退出都到 QEMU：许多由 KVM 在内核中处理，isolab 只能看到计数。",
            ),
            ask: Words(
                "KVM also emulates the interrupt controller and the timer, but no disk. Why? (Small and often used; large and risky.)",
                "KVM 还模拟中断控制器和定时器，却不模拟磁盘。界线为什么划在这里？（前者小而常用，后者大而易出错。）",
            ),
        },
        Step {
            key: None,
            say: Words(
                "1000, 1 and 0 exits for the same bytes. Every guest has the few that KVM handled: first accesses to memory, interrupts.",
                "同样的字节：1000、1、0 次退出。KVM 自行处理的那几次每个客户机都有：首次访问内存，以及中断。",
            ),
            ask: Words(
                "Divide the first time by 1000: what does an exit cost here? How many bytes per second can this serial port send at most?",
                "把第一个用时除以 1000：这里一次退出要多久？这个串口每秒最多能发送多少字节？",
            ),
        },
    ],
    cases: &[
        Case {
            key: 'k',
            when: Words("If KVM counted 1000 or more: ", "如果 KVM 统计到 1000 次以上："),
            say: Words(
                "Here every cpuid was such an exit, as with VMX and SVM.",
                "这里每次 cpuid 都是这样的退出，有 VMX 或 SVM 时就是如此。",
            ),
            applies: |scene| is_measured(scene, Cpuid::Counted),
        },
        Case {
            key: 'k',
            when: Words(
                "If it counted only a few, and cpuid returned no vendor: ",
                "如果只统计到几次，而 cpuid 没有返回厂商名：",
            ),
            say: Words(
                "Here KVM emulated every cpuid too, but does not count that as an exit: the empty answer is KVM's.",
                "这里每次 cpuid 也由 KVM 处理，但不计作退出：空的回答正是 KVM 给出的。",
            ),
            applies: |scene| is_measured(scene, Cpuid::Uncounted),
        },
        Case {
            key: 'k',
            when: Words(
                "If cpuid returned the processor's vendor: ",
                "如果 cpuid 返回了处理器的厂商名：",
            ),
            say: Words(
                "Here cpuid was no exit: this KVM cannot intercept it, so the processor executed it.",
                "这里 cpuid 没有引起退出：这个 KVM 无法拦截它，由处理器直接执行。",
            ),
            applies: |scene| is_measured(scene, Cpuid::ByProcessor),
        },
    ],
};

/// What became of `cpuid`.
#[derive(Clone, Copy, PartialEq)]
enum Cpuid {
    Counted,
    Uncounted,
    ByProcessor,
}

fn is_measured(scene: &Scene, expected: Cpuid) -> bool {
    let Scene::Exits(exits) = scene else { return false };
    let Some(count) = exits.count(Way::Cpuid).filter(|_| exits.slower.is_none()) else {
        return false;
    };
    let measured = match count.answerer() {
        None => return false,
        Some(Answerer::Processor(_)) => Cpuid::ByProcessor,
        Some(Answerer::Kvm) if count.is_counted() => Cpuid::Counted,
        Some(Answerer::Kvm) => Cpuid::Uncounted,
    };
    measured == expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Language,
        exits::{Count, Exits},
    };

    #[test]
    fn what_is_said_of_cpuid_is_what_was_measured() {
        let scene = |by_kvm, vendor: &str| {
            let vendor = Some(vendor.to_owned());
            let count = Count { way: Way::Cpuid, answered: 0, by_kvm, took: 1.0, vendor };
            let (way, counts) = (Some(Way::Cpuid), vec![count]);
            Scene::Exits(Exits { way, counts, ..Exits::default() })
        };
        let cases = [
            (Some(1004), "", "every cpuid was such an exit"),
            (Some(2), "", "does not count that as an exit"),
            (Some(2), "AuthenticAMD", "cpuid was no exit"),
            (None, "GenuineIntel", "cpuid was no exit"),
        ];
        let notes = SCRIPT.notes(Language::En, 79).split_whitespace().collect::<Vec<_>>().join(" ");
        for (by_kvm, vendor, expected) in cases {
            let say = SCRIPT.measured(Some('k'), &scene(by_kvm, vendor)).unwrap().0;
            assert!(say.contains(expected), "{say}");
            assert!(notes.contains(expected), "the notes say it in every case: {notes}");
        }
        let before = Scene::Exits(Exits::default());
        assert!(SCRIPT.measured(Some('k'), &before).is_none());
    }
}
