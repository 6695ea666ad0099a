"""The methods of the client, by what they are about. `app.client.Client` has them all."""
