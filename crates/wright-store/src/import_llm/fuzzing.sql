DELETE FROM turn_fragments; DELETE FROM turn_tools; DELETE FROM tool_instantiations;
DELETE FROM part_attachments; DELETE FROM part_fragments; DELETE FROM prompt_attachments;
DELETE FROM prompt_fragments; DELETE FROM system_fragments; DELETE FROM tool_results_attachments;
DELETE FROM tool_results; DELETE FROM tool_calls; DELETE FROM tool_responses;
DELETE FROM turns; DELETE FROM threads; DELETE FROM parts; DELETE FROM messages;
DELETE FROM responses; DELETE FROM conversations; DELETE FROM attachments;
DELETE FROM fragment_aliases; DELETE FROM fragments; DELETE FROM tools;
DELETE FROM tool_instances; DELETE FROM schemas;
INSERT INTO schemas VALUES('s', '{}');
INSERT INTO tools VALUES(1, 'h', 'clock', 'the time', '{}', NULL);
INSERT INTO tool_instances VALUES(1, 'p', 'Clock', '{}');
INSERT INTO fragments VALUES(1, 'h', 'borrowed', '2026-01-01 00:00:00', 'a.txt');
INSERT INTO fragment_aliases VALUES('alias', 1);
INSERT INTO attachments VALUES('i', 'image/png', NULL, NULL, x'0102');
INSERT INTO messages VALUES('m', NULL, 'user', '{"a": 1}');
INSERT INTO parts VALUES(1, 'm', 0, 'text', NULL, NULL,
  '{"text_ref": [{"literal": "say "}, {"fragment": 1}]}');
INSERT INTO part_fragments VALUES(1, 1, 0);
INSERT INTO threads VALUES('t', 'name', 'm', NULL, '2026-01-01 00:00:00.5+00:00');
INSERT INTO turns VALUES('01m8pkf74grjpz95xqzrrstk1f', 't', 'm', 'm', 'model', 'resolved',
  '{"temperature": 1.0}', 's', 1, 2, '{"x": 3}', 4, '2026-01-01T00:00:00.5+00:00', '{"id": "x"}');
INSERT INTO turn_fragments VALUES('01m8pkf74grjpz95xqzrrstk1f', 1, 0, 'prompt');
INSERT INTO turn_tools VALUES('01m8pkf74grjpz95xqzrrstk1f', 1, 1);
INSERT INTO tool_instantiations VALUES('01m8pkf74grjpz95xqzrrstk1f', 'c', 1);
INSERT INTO conversations VALUES('c', 'old', 'model');
INSERT INTO responses VALUES('r', 'model', 'prompt', 'system', NULL, '{}', 'response', NULL, 'c',
  5, '2025-01-01T00:00:00', 1, 2, NULL, 's', NULL, 'reasoning');
INSERT INTO prompt_attachments VALUES('r', 'i', 0);
INSERT INTO prompt_fragments VALUES('r', 1, 0);
INSERT INTO system_fragments VALUES('r', 1, 0);
INSERT INTO tool_responses VALUES(1, 'r');
INSERT INTO tool_calls VALUES(1, 'r', 1, 'clock', '{"a": 1}', 'c');
INSERT INTO tool_results VALUES(1, 'r', 1, 'clock', 'noon', 'c', 1, NULL);
INSERT INTO tool_results_attachments VALUES(1, 'i', 0);
