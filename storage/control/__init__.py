"""The control database: tenants and their wrapped keys, people, API keys, schedules and their audit.

It holds no tenant's data and no key in the clear. What is hashed (passwords, sign-in cookies, API keys,
set-up links) can't be read back; what is wrapped needs the root key. SQLite by default, PostgreSQL by URL.
"""
