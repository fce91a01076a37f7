"""How an account is connected: a flow for each of the four logins, behind one contract."""
