-- One index on credentials by subscriber and card in place of two: each is a page more to be written for every credential.
-- `revoked_at` stands in it so that what is still good is found without a look at what a card ever had.

DROP INDEX credential_subscriber;
DROP INDEX credential_device;
CREATE INDEX credential_device ON credential (subscriber, device, revoked_at);
