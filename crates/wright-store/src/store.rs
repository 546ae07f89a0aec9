//! The interface of the memory, behind which all SQL stays.

use crate::library::{Continuation, Conversation, DayStats};
use crate::query::{Filter, Turn};
use crate::replay::Replay;
use crate::turn::{Logged, NewTurn};
use crate::{Error, SqliteStore};

/// A memory of conversations.
pub trait Store: Send {
    /// Logs a turn. Once this returns, the turn survives the end of the process.
    ///
    /// # Errors
    /// If there is no such conversation, or the store cannot be written.
    fn log(&mut self, turn: &NewTurn<'_>) -> Result<Logged, Error>;

    /// Turns that pass `filter`, in its order.
    ///
    /// # Errors
    /// If the search is not understood, or the store cannot be read.
    fn turns(&self, filter: &Filter) -> Result<Vec<Turn>, Error>;

    /// Ids of the turns that pass `filter`, in its order: cheaper than [`Store::turns`].
    ///
    /// # Errors
    /// As [`Store::turns`].
    fn turn_ids(&self, filter: &Filter) -> Result<Vec<String>, Error>;

    /// Conversations, the one with the newest turn first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn conversations(&self, limit: usize) -> Result<Vec<Conversation>, Error>;

    /// Id of the conversation with the newest turn.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn latest_conversation(&self) -> Result<Option<String>, Error>;

    /// The messages of a conversation, to continue it.
    ///
    /// # Errors
    /// If there is no such conversation, or the store cannot be read.
    fn continuation(&self, id: &str) -> Result<Continuation, Error>;

    /// Everything that is needed to repeat a turn.
    ///
    /// # Errors
    /// If there is no such turn, or the store cannot be read.
    fn replay(&self, turn: &str) -> Result<Replay, Error>;

    /// Sums by day and model, newest day first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn stats(&self) -> Result<Vec<DayStats>, Error>;
}

impl Store for SqliteStore {
    fn log(&mut self, turn: &NewTurn<'_>) -> Result<Logged, Error> {
        self.log_turn(turn)
    }

    fn turns(&self, filter: &Filter) -> Result<Vec<Turn>, Error> {
        self.turn_keys(filter)?.into_iter().map(|key| self.load_turn(key)).collect()
    }

    fn turn_ids(&self, filter: &Filter) -> Result<Vec<String>, Error> {
        let mut statement = self.db.prepare_cached("SELECT id FROM turns WHERE key = ?1")?;
        let keys = self.turn_keys(filter)?;
        let ids = keys.into_iter().map(|key| statement.query_row([key], |row| row.get(0)));
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn conversations(&self, limit: usize) -> Result<Vec<Conversation>, Error> {
        self.list_conversations(limit)
    }

    fn latest_conversation(&self) -> Result<Option<String>, Error> {
        self.newest_conversation()
    }

    fn continuation(&self, id: &str) -> Result<Continuation, Error> {
        self.load_continuation(id)
    }

    fn replay(&self, turn: &str) -> Result<Replay, Error> {
        self.load_replay(turn)
    }

    fn stats(&self) -> Result<Vec<DayStats>, Error> {
        self.load_stats()
    }
}
