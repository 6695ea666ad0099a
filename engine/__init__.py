"""What the product knows: models, types, mapping, rules, the plan, the run. No files, sockets, pages or keys."""
