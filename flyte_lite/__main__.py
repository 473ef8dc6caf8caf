"""`python -m flyte_lite` is `flyte-lite`."""

import sys

from flyte_lite._cli import main

sys.exit(main())
