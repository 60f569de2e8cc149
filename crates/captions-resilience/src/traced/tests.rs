use std::sync::Mutex;

use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::*;
use crate::samples::{Actor, Line, fault, prompt, relaxed};

/// Keeps the fields of spans of the target.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(String, String)>>>);

impl Visit for Kept {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0
            .lock()
            .unwrap()
            .push((field.name().to_owned(), format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.lock().unwrap().push((field.name().to_owned(), value.to_owned()));
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Kept {
    fn get(&self, name: &str) -> Option<String> {
        let kept = self.0.lock().unwrap();
        kept.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }
}

async fn traced(script: &[Line], streamed: bool) -> Kept {
    let kept = Kept::default();
    let provider = Traced::new(
        Arc::new(Actor::new("p", &[script])),
        Some("llm.example".to_owned()),
        Some(443),
    );
    let guard = tracing::subscriber::set_default(kept.clone());
    if streamed {
        if let Ok(mut chunks) = provider.stream(&relaxed(), &prompt()).await {
            while chunks.next().await.is_some() {}
        }
    } else {
        drop(provider.complete(&relaxed(), &prompt()).await);
    }
    drop(guard);
    kept
}

#[tokio::test]
async fn an_answer_is_a_span_with_the_names_of_the_conventions() {
    for streamed in [false, true] {
        let kept = traced(&[Line::Say("hello"), Line::End], streamed).await;

        for (name, value) in [
            ("otel.name", "chat p-model"),
            ("otel.kind", "client"),
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "p"),
            ("gen_ai.request.model", "p-model"),
            ("server.address", "llm.example"),
            ("server.port", "443"),
        ] {
            assert_eq!(kept.get(name).as_deref(), Some(value), "{name}, streamed: {streamed}");
        }
        assert!(kept.get("gen_ai.response.model").is_some());
        assert_eq!(kept.get("error.type"), None);
    }
}

#[tokio::test]
async fn a_failure_names_its_kind_and_nothing_that_was_said() {
    for streamed in [false, true] {
        let kept = traced(&[Line::Fail(fault(FaultKind::Unavailable))], streamed).await;
        assert_eq!(kept.get("error.type").as_deref(), Some("unavailable"));
        assert_eq!(kept.get("otel.status_code").as_deref(), Some("ERROR"));

        let kept = traced(&[Line::Fail(LlmError::unusable("the secret words"))], streamed).await;
        assert_eq!(kept.get("error.type").as_deref(), Some("unusable"));
        let all = format!("{:?}", kept.0.lock().unwrap());
        assert!(!all.contains("secret") && !all.contains("bicycle"), "{all}");
    }
}
