//! Sessions in the terminal, as they go on.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use capnweb_inspect::{Session, Side, report};
use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};
use tokio::sync::mpsc;

use super::feed::{Feed, State};
use crate::{
    failure::{Code, Failure},
    output::human::harmless,
};

/// The time between two looks at the keyboard, and between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// Shows the sessions until `q` is pressed.
pub(crate) async fn run(feed: &Feed) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(Code::Usage, format!("--tui: {error}"));
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (keys, mut pressed) = mpsc::unbounded_channel();
    let reader = {
        let is_over = is_over.clone();
        std::thread::spawn(move || read(&keys, &is_over))
    };
    let shown = show(&mut terminal, feed, &mut pressed).await;
    is_over.store(true, Ordering::Relaxed);
    // It looks at the flag at each tick.
    let _ = reader.join();
    ratatui::try_restore().map_err(failed)?;
    shown.map_err(failed)
}

fn read(keys: &mpsc::UnboundedSender<Event>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        match event::poll(TICK) {
            Ok(false) => {}
            Ok(true) => match event::read() {
                Ok(event) => {
                    if keys.send(event).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            },
            Err(_) => return,
        }
    }
}

/// The part of the sessions that is shown.
#[derive(Debug, Default)]
struct View {
    /// The session that is shown. By default the newest.
    session: Option<u64>,
    /// The number of lines above the first one that is shown. By default the last ones are shown.
    scroll: Option<u16>,
    lines: u16,
    height: u16,
}

async fn show(
    terminal: &mut DefaultTerminal,
    feed: &Feed,
    pressed: &mut mpsc::UnboundedReceiver<Event>,
) -> io::Result<()> {
    let mut view = View::default();
    let mut changed = feed.watch();
    loop {
        terminal.draw(|frame| draw(frame, &feed.lock(), &mut view))?;
        tokio::select! {
            event = pressed.recv() => match event {
                None => return Ok(()),
                Some(event) => {
                    if view.is_quit_by(&event, feed) {
                        return Ok(());
                    }
                }
            },
            changes = changed.changed() => {
                if changes.is_err() {
                    return Ok(());
                }
                // A busy session is drawn a few times a second.
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

impl View {
    fn is_quit_by(&mut self, event: &Event, feed: &Feed) -> bool {
        let Event::Key(key) = event else { return false };
        if key.kind == KeyEventKind::Release {
            return false;
        }
        let bottom = self.lines.saturating_sub(self.height);
        let scroll = self.scroll.unwrap_or(bottom);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Up => self.scroll = Some(scroll.saturating_sub(1)),
            KeyCode::PageUp => self.scroll = Some(scroll.saturating_sub(self.height)),
            KeyCode::Home => self.scroll = Some(0),
            KeyCode::Down => {
                self.scroll = Some(scroll.saturating_add(1)).filter(|line| *line < bottom)
            }
            KeyCode::PageDown => {
                self.scroll =
                    Some(scroll.saturating_add(self.height)).filter(|line| *line < bottom);
            }
            KeyCode::End => self.scroll = None,
            KeyCode::Left | KeyCode::Right => {
                let state = feed.lock();
                let ids: Vec<_> = state.follower.sessions().map(Session::id).collect();
                let at = match self.session {
                    Some(id) => ids
                        .iter()
                        .position(|known| *known == id)
                        .unwrap_or_default(),
                    None => ids.len().saturating_sub(1),
                };
                let at = match key.code {
                    KeyCode::Left => at.saturating_sub(1),
                    _ => at + 1,
                };
                // Past the last one, the newest is shown.
                self.session = ids.get(at).copied().filter(|_| at + 1 < ids.len());
                self.scroll = None;
            }
            _ => {}
        }
        false
    }
}

fn draw(frame: &mut Frame<'_>, state: &State, view: &mut View) {
    let [top, middle, bottom, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Percentage(30),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let sessions = state.follower.sessions().count();
    let session = match view.session.and_then(|id| state.follower.session(id)) {
        Some(session) => Some(session),
        None => state.follower.sessions().last(),
    };
    let faint = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Line::styled("←→ session  ↑↓ scroll  q quit", faint), keys);
    let Some(session) = session else {
        frame.render_widget(Line::raw("capnweb inspect: no session yet"), top);
        return;
    };
    let status = match session.closed() {
        Some(_) => "ended",
        None => "open",
    };
    let title = format!(
        "capnweb inspect: session {} ({status}), {sessions} in all",
        session.id()
    );
    frame.render_widget(
        Line::styled(title, Style::new().add_modifier(Modifier::BOLD)),
        top,
    );

    let text = harmless(&report(session));
    let lines: Vec<_> = text.lines().map(styled).collect();
    view.lines = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    view.height = middle.height.saturating_sub(2);
    let scroll = view
        .scroll
        .unwrap_or(view.lines.saturating_sub(view.height));
    let calls = Paragraph::new(lines)
        .block(Block::new().borders(Borders::ALL).title("calls"))
        .scroll((scroll, 0));
    frame.render_widget(calls, middle);

    let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(bottom);
    for (side, area) in [(Side::Client, left), (Side::Server, right)] {
        let held = held(session, side, state.now());
        let title = format!("the {side} holds {}", held.len());
        let list = Paragraph::new(held).block(Block::new().borders(Borders::ALL).title(title));
        frame.render_widget(list, area);
    }
}

fn styled(line: &str) -> Line<'static> {
    let color = if line.contains('⚑') {
        Color::Yellow
    } else if line.contains('✗') || line.trim_start().starts_with('!') {
        Color::Red
    } else if line.contains('┄') {
        Color::Magenta
    } else {
        return Line::raw(line.to_owned());
    };
    Line::from(Span::styled(line.to_owned(), Style::new().fg(color)))
}

fn held(session: &Session, side: Side, now: f64) -> Vec<Line<'static>> {
    let time = if session.closed().is_some() {
        session.last()
    } else {
        now
    };
    let mut held: Vec<_> = session.held().filter(|held| held.holder == side).collect();
    held.sort_by(|one, other| one.since.total_cmp(&other.since));
    let line = |held: &&capnweb_inspect::Held| {
        let seconds = (time - held.since) / 1000.0;
        Line::raw(harmless(&format!("{seconds:>7.1} s  {}", held.describe())))
    };
    held.iter().take(1000).map(line).collect()
}
