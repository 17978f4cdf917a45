"""HTTP over sockets: connections of clients and to servers, and requests carried from the ones to the others."""
