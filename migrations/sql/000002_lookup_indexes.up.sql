-- Indexes for the lookups that the services make. One ALTER for each table, so that a table has
-- all of its new indexes or none.
--
-- Not here: transactions by date alone (every question about a period is about one user, and one
-- more index slows every upload down); transactions of a batch, by bank or by category, and
-- insights by category (the keys of the foreign keys serve); users by email (unique, so there is
-- one); the small tables of roles, banks and categories (a scan of a page is as fast).

-- The statement of a user over a period, newest first.
ALTER TABLE `Transaction` ADD KEY `ix_Transaction_id_user_transaction_date` (`id_user`, `transaction_date`);

-- The newest insights of a user.
ALTER TABLE `Insights` ADD KEY `ix_Insights_id_user_created_at` (`id_user`, `created_at`);

-- The batches that wait, oldest first, and those that have been in processing for too long.
ALTER TABLE `TransactionBatch` ADD KEY `ix_TransactionBatch_process_status_start_date` (`process_status`, `start_date`);

-- Login by user name. Not unique: Alembic's schema never said so, and an adopted database may hold
-- the same name twice.
ALTER TABLE `User` ADD KEY `ix_User_username` (`username`);
