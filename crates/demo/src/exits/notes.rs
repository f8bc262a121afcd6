//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// Three ways out of a guest, and who answers.
pub const SCRIPT: Script = Script {
    title: Words("1000 bytes out of a guest", "1000 个字节离开客户机"),
    minutes: 10,
    needs: Words(
        "With the lecture on virtual devices. /dev/kvm; no root where the user may open it. Each guest runs at full speed, and is shown slower when it has ended.",
        "配合虚拟设备那一讲。需要 /dev/kvm；能打开它就不需要 root。每个客户机都是全速跑完，再放慢给大家看。",
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
                "A guest runs on the processor until it needs something that is not in its memory. Then it has to stop: an exit. It has 1000 bytes for the host.",
                "客户机直接在处理器上跑，直到它要的东西不在自己的内存里，这时就得停下来：这叫退出（VM exit）。它有 1000 个字节要交给宿主机。",
            ),
            ask: Words(
                "How many exits with a serial port, with shared memory, with a device of its own? Write your three numbers down.",
                "用串口、用共享内存、用自己独占的设备，各要退出多少次？先把三个数写下来。",
            ),
        },
        Step {
            key: Some('f'),
            say: Words(
                "Full virtualization: the guest writes to port 0x3f8 as on any PC. Each time KVM_RUN returns, and isolab plays the chip: QEMU's role.",
                "全虚拟化：客户机像在普通 PC 上一样往端口 0x3f8 写。每写一次，KVM_RUN 就返回一次，由 isolab 扮演那块芯片：这是 QEMU 的角色。",
            ),
            ask: Words(
                "A real driver first reads the line status, before every byte. How many exits is that? (2000.)",
                "真正的驱动每写一个字节，还要先读一次线路状态。那是多少次退出？（2000 次。）",
            ),
        },
        Step {
            key: Some('p'),
            say: Words(
                "Para-virtualization: the guest knows that it is one. It puts all bytes into memory that both sides know of, then rings once. virtio is this, with queues.",
                "半虚拟化：客户机知道自己是客户机。它把所有字节放进双方约定的内存，再按一次门铃。virtio 就是这样，只是多了队列。",
            ),
            ask: Words(
                "The guest says how many bytes there are. What must isolab do with that number? (Check it: the guest may lie.)",
                "有多少字节，是客户机说的。isolab 拿到这个数要做什么？（检查：客户机可能撒谎。）",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "Passthrough: the device's page is the guest's memory; only its end is an exit. Our device is a page that isolab looks at; a real card takes VFIO and an IOMMU.",
                "直通：设备的那一页就是客户机的内存，只有结束时退出一次。这里的设备是 isolab 会去看的一页内存；真网卡要靠 VFIO 和 IOMMU。",
            ),
            ask: Words(
                "Nobody is in between. What can nobody do any more? (Share the device, limit it, move the guest to another host.)",
                "中间没有人了。那么谁都做不到的事是什么？（共享设备、限速、把客户机迁到别的主机。）",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "Not every exit comes to QEMU: KVM answers many in the kernel. With VMX or SVM, cpuid is one: 1000 exits that isolab only gets a count of, from KVM_GET_STATS_FD. Where KVM cannot intercept it, the processor answers without an exit, and the picture says so.",
                "不是每次退出都到 QEMU，很多是 KVM 在内核里就答完的。有 VMX 或 SVM 时 cpuid 就是这样：退出一千次，isolab 只能从 KVM_GET_STATS_FD 拿到总数。KVM 拦截不了 cpuid 时，处理器直接回答，不退出；画面上会说明是哪一种。",
            ),
            ask: Words(
                "KVM also plays the interrupt controller and the timer, but no disk. Why that line? (Often needed and small, against large and risky.)",
                "KVM 还扮演中断控制器和定时器，却不扮演磁盘。界线为什么划在这里？（又常用又小的，对又大又危险的。）",
            ),
        },
        Step {
            key: None,
            say: Words(
                "1000, 1, 0 for the same bytes. The few that KVM answered alone come with every guest: memory that is touched first, interrupts.",
                "同样的字节：1000、1、0。KVM 自己回答的那几次，每个客户机都有：第一次碰到的内存，还有中断。",
            ),
            ask: Words(
                "Divide the first time by 1000: what does an exit cost here? How many bytes a second can this serial port ever send?",
                "把第一个时间除以 1000：这里一次退出要多久？这个串口每秒最多能送多少字节？",
            ),
        },
    ],
};
