use axum::Router;
use axum::response::Html;
use axum::routing::get;

const PAGE: &str = include_str!("landing.html");
const THANKS: &str = include_str!("thanks.html");

/// The landing page, whose form posts to the daemon at `daemon`, and the page that follows it.
pub fn router(daemon: &str) -> Router {
    let page = PAGE.replace("{daemon}", daemon);
    Router::new()
        .route("/", get(async move || Html(page)))
        .route("/thanks", get(async || Html(THANKS)))
}
