"""xDS, the language of the control plane: messages, their translation to the model, and the client of its streams."""
