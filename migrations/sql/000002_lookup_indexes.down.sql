-- In a database that Alembic made, the server had made the keys beside the foreign keys by itself,
-- and took its key on id_user away when an index came that begins with the same column. That index
-- is then the only one that serves the foreign key and cannot be dropped (error 1553): where no
-- other begins with id_user, the key is given back in the same ALTER.

ALTER TABLE `User` DROP KEY `ix_User_username`;

ALTER TABLE `TransactionBatch` DROP KEY `ix_TransactionBatch_process_status_start_date`;

SET @ddl = IF(
  EXISTS (
    SELECT * FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'Insights' AND COLUMN_NAME = 'id_user' AND SEQ_IN_INDEX = 1
      AND INDEX_NAME <> 'ix_Insights_id_user_created_at'
  ),
  'ALTER TABLE `Insights` DROP KEY `ix_Insights_id_user_created_at`',
  'ALTER TABLE `Insights` ADD KEY `id_user` (`id_user`), DROP KEY `ix_Insights_id_user_created_at`'
);
PREPARE ddl FROM @ddl;
EXECUTE ddl;
DEALLOCATE PREPARE ddl;

SET @ddl = IF(
  EXISTS (
    SELECT * FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'Transaction' AND COLUMN_NAME = 'id_user' AND SEQ_IN_INDEX = 1
      AND INDEX_NAME <> 'ix_Transaction_id_user_transaction_date'
  ),
  'ALTER TABLE `Transaction` DROP KEY `ix_Transaction_id_user_transaction_date`',
  'ALTER TABLE `Transaction` ADD KEY `id_user` (`id_user`), DROP KEY `ix_Transaction_id_user_transaction_date`'
);
PREPARE ddl FROM @ddl;
EXECUTE ddl;
DEALLOCATE PREPARE ddl;
