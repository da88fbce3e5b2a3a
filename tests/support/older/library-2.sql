-- The catalogue as the second version of Scholion made it.
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS papers (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, authors TEXT NOT NULL, year INTEGER, doi TEXT,
    arxiv_id TEXT, abstract TEXT, n_pages INTEGER NOT NULL, file_name TEXT NOT NULL,
    report TEXT, refs TEXT, added_at TEXT NOT NULL, finished_at TEXT);
CREATE TABLE IF NOT EXISTS rebuilt (
    id TEXT PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE, embedder TEXT NOT NULL, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pages (
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (paper_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    text TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    first_page INTEGER NOT NULL, last_page INTEGER NOT NULL, section TEXT, n_tokens INTEGER NOT NULL,
    vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_of_paper ON chunks(paper_id, ordinal);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    text, content='chunks', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER IF NOT EXISTS chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO words(rowid, text) VALUES (new.row, new.text); END;
CREATE TRIGGER IF NOT EXISTS chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO words(words, rowid, text) VALUES ('delete', old.row, old.text); END;
CREATE TABLE IF NOT EXISTS ledger (
    paper_id TEXT PRIMARY KEY, file TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, changed_at TEXT NOT NULL)
    WITHOUT ROWID;
PRAGMA user_version=2;
