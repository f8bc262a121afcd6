//! Styles that several pictures share.

use ratatui::style::{Color, Style};

/// For what is to be read last.
pub(crate) const DIM: Style = Style::new().fg(Color::DarkGray);
