//! What a verb works with, opened: settings, the model that was asked for, its vocabulary.

pub mod context;
pub mod home;
pub mod load;
pub mod locate;
pub mod memory;
pub mod prefix_cache;
pub mod settings;
pub mod vocabulary;
