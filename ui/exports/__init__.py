"""What is taken along from the chat: plain text, whole chats, tables."""
