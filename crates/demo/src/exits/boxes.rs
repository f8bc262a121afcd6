//! Who does what: guest, KVM and isolab below each other. Who has answered the guest is lit.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::Line,
    widgets::{Block, BorderType, Paragraph},
};

use super::{Answerer, Exits, Way};
use crate::{Language, script::Words};

/// The least height of three boxes.
pub(super) const LEAST: u16 = 9;

/// Guest, KVM and isolab; what goes on to the next is in the lower edge.
pub(super) fn boxes(scene: &Exits, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let height = (area.height / 3).clamp(LEAST / 3, 4);
    let space = if area.height >= 3 * height + 2 { 1 } else { 0 };
    let heights = [Constraint::Length(height); 3];
    let [guest, kvm, vmm] = Layout::vertical(heights).spacing(space).areas(area);
    for (role, area) in roles(scene, language).into_iter().zip([guest, kvm, vmm]) {
        frame.render_widget(role.block(), area);
    }
}

/// Guest, KVM and isolab, from the top.
pub(super) fn roles(scene: &Exits, language: Language) -> [Role; 3] {
    let text = |words: Words| words.of(language).to_owned();
    let lit = lit(scene);
    let [to_kvm, to_vmm] = arrows(scene, language);
    let small = Words("a small program, no kernel", "一个小程序，没有内核");
    let guest = Role {
        title: text(Words("the guest: a microVM, ring 3", "客户机：微型虚拟机，ring 3")),
        is_lit: false,
        lines: [
            scene.way.map_or(String::new(), |way| text(way.code())),
            text(scene.way.map_or(small, Way::belief)),
        ],
        to_next: to_kvm,
    };
    let title = Words("KVM's role: /dev/kvm, the kernel", "KVM 的角色：/dev/kvm，在内核中");
    let about = Words("runs the guest until a VM exit", "运行客户机，直到发生退出");
    let kvm = Role {
        title: marked(title.of(language), lit.kvm),
        is_lit: lit.kvm,
        lines: [kvm_line(scene, language), text(about)],
        to_next: to_vmm,
    };
    let title = Words("QEMU's role: isolab, a process", "QEMU 的角色：isolab，一个进程");
    let about = Words("emulates the device behind each port", "模拟每个端口背后的设备");
    let vmm = Role {
        title: marked(title.of(language), lit.vmm),
        is_lit: lit.vmm,
        lines: [vmm_line(scene, language), text(about)],
        to_next: String::new(),
    };
    [guest, kvm, vmm]
}

/// A title that says without colours whether its box is lit.
fn marked(title: &str, is_lit: bool) -> String {
    format!("{} {title}", if is_lit { '●' } else { '○' })
}

/// A box.
pub(super) struct Role {
    pub(super) title: String,
    pub(super) is_lit: bool,
    /// The second is for where there is room.
    pub(super) lines: [String; 2],
    /// What goes from it to the box below.
    pub(super) to_next: String,
}

impl Role {
    fn block(self) -> Paragraph<'static> {
        // The edge's colour is not the words'.
        let title = format!(" {} ", self.title).bold().fg(Color::Reset);
        let block = Block::bordered().title_bottom(self.to_next.fg(Color::Reset));
        let block = match self.is_lit {
            true => block
                .border_type(BorderType::Thick)
                .border_style(Style::new().fg(Color::Yellow))
                .title(title.reversed()),
            false => block.title(title),
        };
        let lines = self.lines.into_iter().filter(|line| !line.is_empty());
        let lines: Vec<Line<'_>> = lines.map(|line| Line::from(format!(" {line}"))).collect();
        Paragraph::new(lines).block(block)
    }
}

/// Who has answered what the guest did.
struct Lit {
    kvm: bool,
    vmm: bool,
}

fn lit(scene: &Exits) -> Lit {
    let answerer = scene.way.and_then(|way| scene.count(way)?.answerer());
    // What KVM does for any guest, memory that is touched first or an interrupt, is no answer.
    let kvm = scene.slower.is_none() && answerer == Some(Answerer::Kvm);
    Lit { kvm, vmm: scene.answered > 0 }
}

fn kvm_line(scene: &Exits, language: Language) -> String {
    let Some(way) = scene.way else { return String::new() };
    let forwarded = scene.answered;
    let by_kvm = match scene.count(way).filter(|_| scene.slower.is_none()) {
        Some(count) => count.by_kvm.map_or("?".into(), |count| count.to_string()),
        None => "...".into(),
    };
    match language {
        Language::En => format!("forwarded {forwarded}, handled in KVM {by_kvm}"),
        Language::Zh => format!("转交 {forwarded} 次，自行处理 {by_kvm} 次"),
    }
}

fn vmm_line(scene: &Exits, language: Language) -> String {
    let (answered, arrived) = (scene.answered, scene.arrived);
    match (scene.way, language) {
        (None, _) => String::new(),
        (Some(Way::Cpuid), Language::En) => format!("handled {answered}"),
        (Some(Way::Cpuid), Language::Zh) => format!("处理 {answered} 次"),
        (_, Language::En) => format!("handled {answered}, bytes received: {arrived}"),
        (_, Language::Zh) => format!("处理 {answered} 次，收到 {arrived} 字节"),
    }
}

/// What goes from the guest to KVM, and on to isolab.
fn arrows(scene: &Exits, language: Language) -> [String; 2] {
    let reason =
        scene.stream.iter().find(|exit| !exit.is_end()).map(|exit| exit.reason.to_string());
    let exit = language.either("exit: ", "退出：");
    let returns = language.either(" ▼ KVM_RUN returns ", " ▼ KVM_RUN 返回 ");
    match (reason, lit(scene).kvm) {
        (Some(reason), _) => [format!(" ▼ {exit}{reason} "), returns.into()],
        (None, true) => [format!(" ▼ {exit}cpuid "), String::new()],
        (None, false) => [String::new(), String::new()],
    }
}
