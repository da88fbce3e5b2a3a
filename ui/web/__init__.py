"""The layer between browser and Chainlit: access control, checks of names, and our own routes."""
