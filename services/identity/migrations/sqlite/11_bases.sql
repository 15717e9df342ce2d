-- How often a password was set: a sign-in that is under way knows by it whether another one was set since.
ALTER TABLE passwords ADD COLUMN times_set INTEGER NOT NULL DEFAULT 0;
