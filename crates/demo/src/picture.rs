//! A terminal that is not there, for tests.

use ratatui::{Frame, Terminal, backend::TestBackend};

/// What `draw` puts on a screen of this size that is not a terminal.
pub(crate) fn drawn((columns, rows): (u16, u16), draw: impl FnOnce(&mut Frame<'_>)) -> TestBackend {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, rows));
    let Ok(_) = terminal.draw(draw);
    terminal.backend().clone()
}
