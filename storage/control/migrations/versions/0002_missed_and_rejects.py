"""What a schedule missed is told from what it skipped, and how many rows a run rejected is known."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OUTCOMES = "outcome IN ('running', 'succeeded', 'failed', 'skipped', 'missed', 'interrupted')"


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("schedule_runs") as table:
        table.add_column(sa.Column("rejected", sa.BigInteger(), nullable=True))
        # SQLite makes the table anew, without its checks.
        if not sqlite:
            table.drop_constraint(op.f("ck_schedule_runs_outcome"), type_="check")
        table.create_check_constraint(op.f("ck_schedule_runs_outcome"), OUTCOMES)
    op.execute(
        "UPDATE schedule_runs SET outcome = 'missed' WHERE outcome = 'skipped' AND detail LIKE 'Missed%'"
    )
