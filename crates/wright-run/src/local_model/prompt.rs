//! A request's prompt as token ids.

use super::{LocalModel, text_error};
use crate::capabilities;
use crate::context::{self, Fitted};
use crate::output::OutputFormat;
use wright_chat::{Error, Message, Prompt, Remedy, Request, Text, Tool, ToolChoice};
use wright_text::{RenderOptions, Rendered, Template};

/// Tokens that a chat leaves free for the answer where the request does not limit its length.
const ANSWER_ROOM: usize = 256;

/// A prompt as ids, and what was done to make it fit.
pub(super) struct PreparedPrompt {
    pub ids: Vec<u32>,
    pub format: OutputFormat,
    /// Messages that were left out.
    pub n_dropped: usize,
}

impl PreparedPrompt {
    fn new(ids: Vec<u32>) -> Self {
        PreparedPrompt { ids, format: OutputFormat::default(), n_dropped: 0 }
    }
}

impl LocalModel {
    /// The request's prompt as ids.
    ///
    /// # Errors
    /// If the model cannot take such a prompt, or it does not fit the context.
    pub(super) fn prepare(&self, request: &Request) -> Result<PreparedPrompt, Error> {
        match &request.prompt {
            Prompt::Chat(messages) => self.prepare_chat(messages, request),
            Prompt::Raw(text) => {
                Ok(PreparedPrompt::new(self.with_bos(self.tokenizer.encode(&text.text))))
            }
            Prompt::Fill { prefix, suffix } => self.prepare_fill(prefix, suffix),
        }
    }

    /// The same ids after the token that begins a text, if the model expects one.
    pub(super) fn with_bos(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(bos) = self.tokenizer.bos().filter(|_| self.tokenizer.adds_bos()) {
            ids.insert(0, bos);
        }
        ids
    }

    /// A gap between two texts, in the order that the family was trained on.
    fn prepare_fill(&self, prefix: &Text, suffix: &Text) -> Result<PreparedPrompt, Error> {
        let Some(fill) = &self.fill else {
            return Err(self.unsupported("fill a gap").hint(
                "use a code model with fill-in-the-middle tokens, such as \
                 qwen2.5-coder-1.5b-instruct",
            ));
        };
        let ids =
            fill.ids(self.tokenizer.encode(&prefix.text), self.tokenizer.encode(&suffix.text));
        Ok(PreparedPrompt::new(self.with_bos(ids)))
    }

    /// Renders a conversation that fits: see [`crate::context`].
    fn prepare_chat(
        &self,
        messages: &[Message],
        request: &Request,
    ) -> Result<PreparedPrompt, Error> {
        let Some(template) = &self.template else {
            return Err(self
                .unsupported("chat: it has no chat template")
                .hint("it is a base model: give it a raw prompt, text to continue")
                .remedy(Remedy::RawPrompt));
        };
        let tools = self.offered_tools(template, request)?;
        let wanted = request.options.max_tokens.map_or(ANSWER_ROOM, |n| n as usize);
        let room = wanted.min(self.n_ctx / 4).max(1);
        let fitted = context::fit(messages, self.n_ctx, room, |messages| {
            let rendered = self.render(template, messages, tools)?;
            let ids = self.tokenizer.encode_rendered(&rendered);
            let format = OutputFormat::new(template.source(), &rendered.text(), tools);
            Ok((ids, format))
        })?;
        let Fitted { ids, with: format, n_dropped } = fitted;
        Ok(PreparedPrompt { ids, format, n_dropped })
    }

    /// The tools that the model is offered.
    fn offered_tools<'a>(
        &self,
        template: &Template,
        request: &'a Request,
    ) -> Result<&'a [Tool], Error> {
        match &request.tool_choice {
            ToolChoice::None => return Ok(&[]),
            ToolChoice::Auto => {}
            ToolChoice::Required | ToolChoice::Named(_) => {
                return Err(self.unsupported("be forced to call a tool: only offered some"));
            }
        }
        if !request.tools.is_empty() && !capabilities::calls_tools(template) {
            let what = "call tools: its chat template has no known format for calls";
            return Err(self.unsupported(what));
        }
        Ok(&request.tools)
    }

    fn render(
        &self,
        template: &Template,
        messages: &[Message],
        tools: &[Tool],
    ) -> Result<Rendered, Error> {
        let options = RenderOptions {
            add_generation_prompt: true,
            now: self.options.now,
            ..RenderOptions::default()
        };
        template.render(messages, tools, &options).map_err(text_error)
    }
}
