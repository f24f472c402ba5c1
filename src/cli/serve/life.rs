//! A server's life: it opens, says that it serves, reloads when asked to, warns, drains and ends.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::{debug, error, field, info, warn};

use super::notify::Notifier;
use super::plan::{Plan, RecordPlan};
use crate::cli::Failure;
use crate::cli::log::LogControl;
use crate::cli::settings::{Resolved, Sources};
use crate::game::Game;
use crate::game::arena::{Arena, ArenaConfig};
use crate::game::cubes::Cubes;
use crate::game::recording::Header;
use crate::recording::{Feed, Recorder};
use crate::server::admin::{Admin, AdminHandle};
use crate::server::signal::{Signal, Signals};
use crate::server::{Server, ServerControl, ServerError, ServerHandle};
use crate::tools::Bundled;

/// What clients are told at the end.
const FAREWELL: &str = "the server shuts down";

/// What a signal's number is added to when it ended a process, as shells count.
const SIGNAL_BASE: u8 = 128;

/// Runs the server until it has ended.
pub(super) fn run(
    sources: &Sources,
    settings: Resolved,
    plan: Plan,
    logs: &LogControl,
) -> Result<ExitCode, Failure> {
    for name in &sources.strange {
        warn!(variable = %name, "no option has this variable");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(live(sources, settings, plan, logs));
    // After a second signal there may be threads to wait for; nobody does.
    runtime.shutdown_background();
    code
}

async fn live(
    sources: &Sources,
    settings: Resolved,
    plan: Plan,
    logs: &LogControl,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let grace = plan.grace;
    let Running {
        handle,
        admin,
        recorder,
    } = open(plan)?;
    let mut notifier = Notifier::from_environment();
    let mut watchdog = notifier.watchdog().map(watchdog);
    notifier.ready();

    let mut keeper = Keeper {
        sources,
        settings,
        logs,
        control: handle.control(),
    };
    let signal = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => keeper.reload(),
                signal => break Some(signal),
            },
            () = keeper.control.stopping() => break None,
            () = due(watchdog.as_mut()) => feed(&mut notifier, &keeper.control),
        }
    };
    notifier.stopping();
    if let Some(admin) = &admin {
        admin.set_draining(true);
    }
    info!(
        signal = signal.map_or("none", Signal::name),
        "shutting down"
    );
    let running = Running {
        handle,
        admin,
        recorder,
    };
    let ending = end(running, grace, &mut notifier, watchdog);
    tokio::select! {
        ended = ending => {
            ended.map_err(anyhow::Error::from)?;
            info!("ended");
            Ok(ExitCode::SUCCESS)
        }
        signal = second(&mut signals) => {
            warn!(signal = signal.name(), "ending at once");
            Ok(ExitCode::from(SIGNAL_BASE + signal.number()))
        }
    }
}

/// A server and what runs beside it.
struct Running {
    handle: ServerHandle,
    admin: Option<AdminHandle>,
    recorder: Option<Recorder>,
}

/// Opens everything, so that nothing has begun when something cannot be; then starts it.
fn open(mut plan: Plan) -> anyhow::Result<Running> {
    let (rate, seed, tables) = (plan.server.tick_rate, plan.seed, plan.tables.take());
    match plan.world {
        Bundled::Arena => {
            let arena = Arena::new(ArenaConfig {
                seed,
                players: plan.server.max_clients,
                rate,
            });
            match tables {
                Some(tables) => open_with(plan, arena.with_tables(tables)?),
                None => open_with(plan, arena),
            }
        }
        Bundled::Cubes => {
            let cubes = Cubes::new(seed, rate);
            match tables {
                Some(tables) => open_with(plan, cubes.with_tables(tables)?),
                None => open_with(plan, cubes),
            }
        }
    }
}

fn open_with(plan: Plan, game: impl Game) -> anyhow::Result<Running> {
    let Plan {
        server: config,
        world,
        admin,
        record,
        is_key_own,
        ..
    } = plan;
    let (key, protocol_id) = (config.key.clone(), config.protocol_id);
    let mut public = config.public_addresses.clone();
    let header = Header::new(
        game.schema(),
        config.tick_rate,
        config.snapshot_every().into(),
    );
    let mut server = Server::bind(config, game)?;
    let listen = server.local_addr();
    if public.is_empty() {
        public.push(listen);
    }
    let admin = admin
        .map(|admin| Admin::bind(admin.config(key, protocol_id, public.clone(), is_key_own)))
        .transpose()?;
    // Last of all: a file that is made stays.
    let recorder = record.map(|record| open_recorder(&record, header));
    let (recorder, feed) = recorder.transpose()?.unzip();
    if let Some(mut feed) = feed {
        server = server.on_frame(Box::new(move |frame| feed.record(frame)));
    }
    if is_key_own {
        warn!(
            "no private key was given: this one ends with the process, and tokens go to loopback only"
        );
    }
    let handle = server.start()?;
    let admin = admin.map(|admin| admin.start(handle.control()));
    let port = admin
        .as_ref()
        .map(|admin| field::display(admin.local_addr()));
    info!(%listen, ?public, admin = port, world = world.name(), "serving");
    Ok(Running {
        handle,
        admin,
        recorder,
    })
}

fn open_recorder(record: &RecordPlan, header: Header) -> anyhow::Result<(Recorder, Feed)> {
    Recorder::create(&record.path, header).with_context(|| record.said.clone())
}

/// The next wish to stop; at the end nothing is reloaded any more.
async fn second(signals: &mut Signals) -> Signal {
    loop {
        match signals.next().await {
            Signal::Hangup => {}
            signal => return signal,
        }
    }
}

fn watchdog(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn due(watchdog: Option<&mut Interval>) {
    match watchdog {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

fn feed(notifier: &mut Notifier, control: &ServerControl) {
    if !notifier.alive(control.stats().tick.played) {
        error!("the world did not advance: the watchdog is not fed");
    }
}

/// Warns everybody, waits for the grace time if there is anybody, and ends the server.
async fn end(
    running: Running,
    grace: Duration,
    notifier: &mut Notifier,
    mut watchdog: Option<Interval>,
) -> Result<(), ServerError> {
    let Running {
        handle,
        admin,
        recorder,
    } = running;
    let control = handle.control();
    control.refuse_newcomers();
    // Somebody who asked the server itself to end has seen to the warning.
    if !control.is_stopping() && control.stats().seated > 0 {
        control.announce_shutdown(grace);
        let mut over = std::pin::pin!(sleep(grace));
        loop {
            tokio::select! {
                () = &mut over => break,
                () = control.stopping() => break,
                () = due(watchdog.as_mut()) => feed(notifier, &control),
            }
        }
    }
    let ended = tokio::task::spawn_blocking(move || {
        let outcome = handle.shutdown(FAREWELL);
        if let Some(recorder) = recorder {
            // How it went is in the log; a recording that failed is no failure of the server.
            let _ = recorder.finish();
        }
        // Last: until here it can be asked how the end goes.
        if let Some(admin) = admin {
            admin.stop();
        }
        outcome
    });
    let ended = ended.await;
    match ended {
        Ok(outcome) => outcome.map(drop),
        Err(error) => Err(ServerError::Panicked(error.to_string())),
    }
}

/// Who reads the settings again.
struct Keeper<'a> {
    sources: &'a Sources,
    settings: Resolved,
    logs: &'a LogControl,
    control: ServerControl,
}

impl Keeper<'_> {
    /// Reads the settings again and applies what can be applied to a running server. Settings that are wrong
    /// change nothing.
    fn reload(&mut self) {
        match self.reloaded() {
            Ok(settings) => self.settings = settings,
            Err(Failure::Usage(problem)) => error!(problem, "nothing was reloaded"),
            Err(Failure::Outside(error)) => {
                error!(problem = format!("{error:#}"), "nothing was reloaded");
            }
        }
    }

    fn reloaded(&self) -> Result<Resolved, Failure> {
        let settings = self.sources.resolve()?;
        let plan = Plan::new(&settings)?;
        let (mut applied, mut waiting) = (Vec::new(), Vec::new());
        for row in settings.changed_since(&self.settings) {
            let list = if row.is_live {
                &mut applied
            } else {
                &mut waiting
            };
            list.push(row.field);
        }
        self.control
            .set_limits(plan.server.admission)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        self.logs
            .set_filter(&settings.values.log)
            .map_err(Failure::Usage)?;
        if !waiting.is_empty() {
            warn!(options = ?waiting, "these changed and wait for a restart");
        }
        debug!(options = ?applied, "applied");
        info!(changed = applied.len(), "reloaded");
        Ok(settings)
    }
}
