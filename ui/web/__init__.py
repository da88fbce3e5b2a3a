"""What stands between the browser and Chainlit: who may ask, under which names, and the addresses that are our own."""
