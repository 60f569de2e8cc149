//! What a provider's answers cost.

use std::sync::Arc;

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::LlmError,
    money::Prices,
    ports::{Chunk, ChunkStream, Completion, Credit, Description, LlmProvider},
    prompt::Prompt,
};
use futures_util::StreamExt;

/// A provider whose prices are known: its answers tell their cost. Goes around one provider and not around a chain.
pub struct Priced {
    inner: Arc<dyn LlmProvider>,
    prices: Prices,
}

impl Priced {
    /// `inner`, which asks these prices.
    pub fn new(inner: Arc<dyn LlmProvider>, prices: Prices) -> Self {
        Self { inner, prices }
    }
}

/// No answer takes no tokens: a count of zero was not told, and what is not told is not guessed.
fn price(credit: &mut Credit, prices: &Prices) {
    if let Some(usage) = &mut credit.usage {
        let is_free = prices.input.max(prices.output).micros() == 0;
        let is_whole = usage.input_tokens > 0 && usage.output_tokens > 0;
        usage.cost = (is_whole || is_free).then(|| prices.cost(usage.input_tokens, usage.output_tokens));
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl LlmProvider for Priced {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let mut completion = self.inner.complete(cx, prompt).await?;
        price(&mut completion.credit, &self.prices);
        Ok(completion)
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let chunks = self.inner.stream(cx, prompt).await?;
        let prices = self.prices;
        Ok(Box::pin(chunks.map(move |chunk| match chunk {
            Ok(Chunk::End(mut credit)) => {
                price(&mut credit, &prices);
                Ok(Chunk::End(credit))
            }
            Ok(chunk @ (Chunk::Text(_) | Chunk::Withdrawn { .. } | Chunk::Progress { .. })) => Ok(chunk),
            Err(error) => Err(error),
        })))
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests;
