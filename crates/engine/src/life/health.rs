//! Healthchecks: a command that is run in a container again and again.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bollard_stubs::models::{ExecConfig, HealthConfig, HealthcheckResult};

use super::stop::wait_for_end;
use crate::{container::Container, engine::Engine, exec, health::HealthState, time};

/// How much of the output of a check is shown, in bytes.
const OUTPUT: usize = 4096;

/// The words of a check; `None` if there is none.
fn words(check: &HealthConfig, shell: Option<&Vec<String>>) -> Option<Vec<String>> {
    let test = check.test.as_deref()?;
    let (kind, rest) = test.split_first()?;
    match kind.as_str() {
        "CMD" if !rest.is_empty() => Some(rest.to_vec()),
        "CMD-SHELL" => {
            let usual = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
            let shell = shell.filter(|words| !words.is_empty()).cloned().unwrap_or_else(usual);
            Some(shell.into_iter().chain(rest.iter().cloned()).collect())
        }
        _ => None,
    }
}

/// Checks a container that has just been started, until it ends.
pub(crate) fn watch(engine: &Arc<Engine>, container: &Arc<Container>) {
    let (check, shell) = {
        let record = container.record();
        (record.config.healthcheck.clone(), record.config.shell.clone())
    };
    let found = check.and_then(|check| Some((words(&check, shell.as_ref())?, check)));
    container.set_health(found.is_some().then(HealthState::default));
    let Some((words, check)) = found else { return };
    let ends = container.progress.borrow().ends;
    let (engine, container) = (Arc::clone(engine), Arc::downgrade(container));
    tokio::spawn(async move {
        check_until_end(&engine, &container, (&words, &check), ends).await;
    });
}

async fn check_until_end(
    engine: &Arc<Engine>,
    container: &Weak<Container>,
    (words, check): (&[String], &HealthConfig),
    ends: u64,
) {
    let duration = |given: Option<i64>, usual: u64| match given {
        Some(given) if given > 0 => Duration::from_nanos(given.unsigned_abs()),
        _ => Duration::from_secs(usual),
    };
    let interval = duration(check.interval, 30);
    let timeout = duration(check.timeout, 30);
    let start_period = duration(check.start_period, 0);
    let start_interval = duration(check.start_interval, 5);
    let retries = check.retries.filter(|retries| *retries > 0).unwrap_or(3);
    let began = Instant::now();
    loop {
        let Some(now) = container.upgrade() else { return };
        let is_starting = began.elapsed() < start_period && now.health_name() == Some("starting");
        let pause = if is_starting { start_interval } else { interval };
        if wait_for_end(&now, ends, Some(pause)).await {
            return;
        }
        let start = time::now();
        let ran = exec::captured(engine, &now, config(words), timeout, OUTPUT).await;
        let (code, output) = match ran {
            Ok(ran) => ran,
            Err(error) => (-1, error.message),
        };
        let result = HealthcheckResult {
            start: Some(start),
            end: Some(time::now()),
            exit_code: Some(code),
            output: Some(output),
        };
        if now.progress.borrow().ends != ends {
            return;
        }
        let counts = began.elapsed() >= start_period || now.health_name() != Some("starting");
        let before = now.health_name();
        now.change_health(|health| health.take(result, counts, retries));
        let after = now.health_name();
        if let Some(name) = after.filter(|_| after != before) {
            now.emit(&engine.events, &format!("health_status: {name}"), &[]);
        }
    }
}

fn config(words: &[String]) -> ExecConfig {
    ExecConfig {
        cmd: Some(words.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_command_or_none() {
        let check = |test: &[&str]| HealthConfig {
            test: Some(test.iter().map(|word| (*word).to_owned()).collect()),
            ..Default::default()
        };
        assert_eq!(words(&check(&["CMD", "true"]), None).unwrap(), ["true"]);
        assert_eq!(
            words(&check(&["CMD-SHELL", "exit 1"]), None).unwrap(),
            ["/bin/sh", "-c", "exit 1"]
        );
        for none in [&[][..], &["NONE"], &["CMD"]] {
            assert!(words(&check(none), None).is_none());
        }
    }
}
