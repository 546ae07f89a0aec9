-- Version 1 of the memory of Wright. Times are milliseconds since 1970 (UTC).

-- A conversation points at its last message; a fork is a second one that shares messages.
CREATE TABLE conversations(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT,
  tip INTEGER REFERENCES messages(key),
  forked_from TEXT,
  created_ms INTEGER NOT NULL
);

-- Messages form trees: `parent` is the message before. `hash` is that of `llm` and covers the
-- message and all before it; `variant` is a digest of what the hash leaves out (origins of text).
CREATE TABLE messages(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  variant BLOB NOT NULL,
  parent INTEGER REFERENCES messages(key),
  role TEXT NOT NULL,
  provider_metadata TEXT,
  UNIQUE(hash, variant)
);

-- Pieces of messages. Prose stands in `text`, unless it borrows fragments: then `payload` has
-- `text_ref`, a list of {"fragment": key} and {"literal": text}. `detail` is not hashed.
CREATE TABLE parts(
  key INTEGER PRIMARY KEY,
  message INTEGER NOT NULL REFERENCES messages(key),
  position INTEGER NOT NULL,
  type TEXT NOT NULL,
  tool_name TEXT,
  text TEXT,
  payload TEXT,
  detail TEXT,
  UNIQUE(message, position)
);

-- Bytes of attachments, once each.
CREATE TABLE blobs(
  hash TEXT PRIMARY KEY,
  content BLOB NOT NULL
);

-- Attachments by content hash and the type that a model is told. Without a row in `blobs` only
-- the path or URL is known.
CREATE TABLE attachments(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  mime TEXT,
  path TEXT,
  url TEXT
);

CREATE TABLE part_attachments(
  part INTEGER NOT NULL REFERENCES parts(key),
  position INTEGER NOT NULL,
  attachment INTEGER NOT NULL REFERENCES attachments(key),
  PRIMARY KEY(part, position)
) WITHOUT ROWID;

-- Texts that are used again and again, stored once by SHA-256.
CREATE TABLE fragments(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  content TEXT NOT NULL,
  source TEXT,
  created_ms INTEGER NOT NULL
);

CREATE TABLE fragment_aliases(
  alias TEXT PRIMARY KEY,
  fragment INTEGER NOT NULL REFERENCES fragments(key)
) WITHOUT ROWID;

CREATE TABLE part_fragments(
  part INTEGER NOT NULL REFERENCES parts(key),
  position INTEGER NOT NULL,
  fragment INTEGER NOT NULL REFERENCES fragments(key),
  PRIMARY KEY(part, position)
) WITHOUT ROWID;

CREATE TABLE schemas(
  id TEXT PRIMARY KEY,
  content TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE schema_names(
  name TEXT PRIMARY KEY,
  schema TEXT NOT NULL REFERENCES schemas(id)
) WITHOUT ROWID;

-- `name` is what was asked for, `resolved` what a provider says answered.
CREATE TABLE models(
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  resolved TEXT,
  provider TEXT
);

-- Local files that made an answer. The hash may come later than the answer.
CREATE TABLE files(
  key INTEGER PRIMARY KEY,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  modified_ns INTEGER NOT NULL,
  inode INTEGER NOT NULL,
  sha256 TEXT,
  UNIQUE(path, size, modified_ns, inode)
);

-- What, beside the request and files, an answer depends on: version, instructions of the
-- processor, chat template. One row for equal ones.
CREATE TABLE setups(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  record TEXT NOT NULL
);

-- One call of a model. `key` is the time in ms << 20 plus a counter, so its order is that of time.
-- `prompt` is the last message that the model was given, `tip` the last one of its answer.
CREATE TABLE turns(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  conversation INTEGER NOT NULL REFERENCES conversations(key),
  prompt INTEGER REFERENCES messages(key),
  tip INTEGER REFERENCES messages(key),
  model INTEGER NOT NULL REFERENCES models(key),
  options TEXT,
  request TEXT,
  schema TEXT REFERENCES schemas(id),
  setup INTEGER REFERENCES setups(key),
  finish TEXT,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  token_details TEXT,
  usage TEXT,
  cost_pico_usd INTEGER,
  started_ms INTEGER NOT NULL,
  duration_ms INTEGER,
  provider_data TEXT,
  response_json TEXT
);

CREATE TABLE turn_files(
  turn INTEGER NOT NULL REFERENCES turns(key),
  position INTEGER NOT NULL,
  role TEXT NOT NULL,
  file INTEGER NOT NULL REFERENCES files(key),
  detail TEXT,
  PRIMARY KEY(turn, position)
) WITHOUT ROWID;

-- Fragments that a call was given, as opposed to those that a message's text is built from.
CREATE TABLE turn_fragments(
  turn INTEGER NOT NULL REFERENCES turns(key),
  kind TEXT NOT NULL,
  position INTEGER NOT NULL,
  fragment INTEGER NOT NULL REFERENCES fragments(key),
  PRIMARY KEY(turn, kind, position)
) WITHOUT ROWID;

CREATE TABLE tools(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  description TEXT,
  input_schema TEXT NOT NULL,
  plugin TEXT
);

-- Configured instances of tools, such as a database that a tool reads.
CREATE TABLE tool_instances(
  key INTEGER PRIMARY KEY,
  plugin TEXT,
  name TEXT,
  arguments TEXT
);

CREATE TABLE turn_tools(
  turn INTEGER NOT NULL REFERENCES turns(key),
  position INTEGER NOT NULL,
  tool INTEGER NOT NULL REFERENCES tools(key),
  instance INTEGER REFERENCES tool_instances(key),
  PRIMARY KEY(turn, position)
) WITHOUT ROWID;

-- The instance that answered a tool call.
CREATE TABLE turn_calls(
  turn INTEGER NOT NULL REFERENCES turns(key),
  tool_call_id TEXT NOT NULL,
  instance INTEGER REFERENCES tool_instances(key),
  PRIMARY KEY(turn, tool_call_id)
) WITHOUT ROWID;

-- Sums by day (since 1970, UTC) and model, kept by the triggers below.
CREATE TABLE daily(
  day INTEGER NOT NULL,
  model INTEGER NOT NULL REFERENCES models(key),
  turns INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cost_pico_usd INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  PRIMARY KEY(day, model)
) WITHOUT ROWID;

CREATE TRIGGER turns_counted AFTER INSERT ON turns BEGIN
  INSERT INTO daily VALUES(
    new.started_ms / 86400000, new.model, 1, ifnull(new.prompt_tokens, 0),
    ifnull(new.completion_tokens, 0), ifnull(new.cost_pico_usd, 0), ifnull(new.duration_ms, 0))
  ON CONFLICT DO UPDATE SET
    turns = turns + 1,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cost_pico_usd = cost_pico_usd + excluded.cost_pico_usd,
    duration_ms = duration_ms + excluded.duration_ms;
END;

CREATE TRIGGER turns_discounted AFTER DELETE ON turns BEGIN
  UPDATE daily SET
    turns = turns - 1,
    prompt_tokens = prompt_tokens - ifnull(old.prompt_tokens, 0),
    completion_tokens = completion_tokens - ifnull(old.completion_tokens, 0),
    cost_pico_usd = cost_pico_usd - ifnull(old.cost_pico_usd, 0),
    duration_ms = duration_ms - ifnull(old.duration_ms, 0)
  WHERE day = old.started_ms / 86400000 AND model = old.model;
  DELETE FROM daily WHERE day = old.started_ms / 86400000 AND model = old.model AND turns <= 0;
END;

-- Words of each turn; the text itself is in `parts`. Scripts without spaces are indexed as pairs
-- of characters. A deleted turn leaves no words behind.
CREATE VIRTUAL TABLE words USING fts5(
  prompt, response, content = '',
  tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
);
INSERT INTO words(words, rank) VALUES('secure-delete', 1);

-- Notes of the store about itself.
CREATE TABLE meta(
  name TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;

CREATE INDEX conversations_tip ON conversations(tip);
CREATE INDEX messages_parent ON messages(parent);
CREATE INDEX parts_tool ON parts(tool_name, message) WHERE tool_name IS NOT NULL;
CREATE INDEX attachments_hash ON attachments(hash);
CREATE INDEX part_attachments_attachment ON part_attachments(attachment);
CREATE INDEX fragment_aliases_fragment ON fragment_aliases(fragment);
CREATE INDEX part_fragments_fragment ON part_fragments(fragment);
CREATE INDEX schema_names_schema ON schema_names(schema);
CREATE UNIQUE INDEX models_name ON models(name, ifnull(resolved, ''), ifnull(provider, ''));
CREATE INDEX turns_conversation ON turns(conversation);
CREATE INDEX turns_prompt ON turns(prompt);
CREATE INDEX turns_tip ON turns(tip);
CREATE INDEX turns_model ON turns(model);
CREATE INDEX turns_schema ON turns(schema) WHERE schema IS NOT NULL;
CREATE INDEX turns_setup ON turns(setup) WHERE setup IS NOT NULL;
CREATE INDEX turn_files_file ON turn_files(file);
CREATE INDEX turn_fragments_fragment ON turn_fragments(fragment);
CREATE INDEX turn_tools_tool ON turn_tools(tool);
CREATE INDEX turn_tools_instance ON turn_tools(instance) WHERE instance IS NOT NULL;
CREATE INDEX turn_calls_instance ON turn_calls(instance) WHERE instance IS NOT NULL;
CREATE INDEX daily_model ON daily(model);
