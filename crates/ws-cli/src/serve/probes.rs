//! The probes of an orchestrator: `/healthz` and `/readyz`.

use ws_server::Response;

/// The response to a probe: whether the server runs, or whether it takes new clients. `None` for
/// any other path.
pub(crate) fn answer(path: &str, is_stopping: bool) -> Option<Response> {
    match path {
        "/healthz" => Some(Response::text(200, "ok\n")),
        "/readyz" if is_stopping => Some(Response::text(503, "shutting down\n")),
        "/readyz" => Some(Response::text(200, "ready\n")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn probes() {
        for (path, running, stopping) in [
            ("/healthz", Some(200), Some(200)),
            ("/readyz", Some(200), Some(503)),
            ("/", None, None),
            ("/healthz/", None, None),
        ] {
            let statuses = [false, true].map(|stops| answer(path, stops).map(|response| response.status()));
            assert_eq!(statuses, [running, stopping], "{path}");
        }
    }
}
