//! Containers: created, pruned, and their processes.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::{
    ContainerCreateBody, ContainerCreateResponse, ContainerPruneResponse, ContainerTopResponse,
    ContainerUpdateBody, ContainerUpdateResponse,
};

use super::{
    body,
    call::Call,
    response::{json, json_of},
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    life::{self, Removal},
    state::status::Phase,
    time,
};

pub(super) async fn create(
    engine: &Arc<Engine>,
    call: &Call,
    body: Body,
) -> Result<Response<Body>> {
    let name = call.query.text("name").map(str::to_owned);
    let body: ContainerCreateBody = body::json(body).await?;
    let engine = Arc::clone(engine);
    let create = move || life::create(&engine, name.as_deref(), body);
    let created = tokio::task::spawn_blocking(create).await;
    let created = created.map_err(|error| ApiError::of(&error))??;
    let answer = ContainerCreateResponse { id: created.id, warnings: created.warnings };
    json_of(StatusCode::CREATED, &answer)
}

pub(super) async fn prune(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&["until", "label", "label!"])?;
    let until = filters.values("until").first().map(|text| {
        time::of_query(text).ok_or_else(|| ApiError::invalid(format!("invalid until: {text}")))
    });
    let until = until.transpose()?;
    let mut deleted = Vec::new();
    for container in engine.containers() {
        let (phase, labels, created) = {
            let record = container.record();
            let labels = record.config.labels.clone().unwrap_or_default();
            (record.status.phase, labels, record.created.clone())
        };
        let is_old = until
            .is_none_or(|until| time::since_1970(&created).is_some_and(|created| created < until));
        let is_over = matches!(phase, Phase::Created | Phase::Exited);
        let removal = Removal { force: false, volumes: false };
        if is_over
            && is_old
            && filters.labels(|key| labels.get(key))
            && life::remove(engine, &container, removal).await.is_ok()
        {
            deleted.push(container.id.clone());
        }
    }
    json(&ContainerPruneResponse { containers_deleted: Some(deleted), space_reclaimed: Some(0) })
}

pub(super) async fn update(engine: &Arc<Engine>, id: &str, body: Body) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let asked: ContainerUpdateBody = body::json(body).await?;
    let _changing = container.changing.lock().await;
    life::update(engine, &container, asked)?;
    json(&ContainerUpdateResponse { warnings: Some(Vec::new()) })
}

/// The processes of a container, as ps(1) of the host shows them.
pub(super) async fn top(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    if !container.status().phase.is_up() {
        return Err(ApiError::conflict(format!("container {} is not running", container.id)));
    }
    container.must_be_seen("list the processes of")?;
    let words = call.query.text("ps_args").unwrap_or("-ef").to_owned();
    let name = container.record().ledger_name();
    let found = engine.ledger.find(&name).map_err(|error| ApiError::of(&error))?;
    let own = found.as_ref().map(container::observe::processes).unwrap_or_default();
    let ps = move || {
        let mut command = std::process::Command::new("ps");
        command.args(words.split_whitespace()).stdin(std::process::Stdio::null()).output()
    };
    let output = tokio::task::spawn_blocking(ps).await.map_err(|error| ApiError::of(&error))?;
    let output = output.map_err(ApiError::failed("run ps, of the package procps"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ApiError::invalid(format!("ps: {why}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let (titles, processes) = table(&text, &own)?;
    json(&ContainerTopResponse { titles: Some(titles), processes: Some(processes) })
}

/// The lines of ps(1) with these process ids.
fn table(text: &str, own: &[u32]) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let mut lines = text.lines();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let titles = words(lines.next().unwrap_or_default());
    let column = titles.iter().position(|title| title == "PID");
    let column =
        column.ok_or_else(|| ApiError::internal("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    for line in lines {
        let mut fields = words(line);
        let pid = fields.get(column).and_then(|pid| pid.parse().ok());
        if pid.is_some_and(|pid| own.contains(&pid)) {
            // The last column is a command line, with spaces.
            let rest = fields.split_off(titles.len().min(fields.len()).saturating_sub(1));
            fields.push(rest.join(" "));
            processes.push(fields);
        }
    }
    Ok((titles, processes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_processes_are_shown_with_their_whole_command_line() {
        let text = "UID PID PPID CMD\nroot 1 0 /sbin/init splash\nroot 42 1 sleep 100\n";
        let (titles, processes) = table(text, &[42]).unwrap();
        assert_eq!(titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(processes, [["root", "42", "1", "sleep 100"]]);
        assert!(table("A B\n", &[]).is_err());
    }
}
