"""What the record says of a model: who was champion when and why, on what evidence, and whom a deletion touches.

Everything is read from the ledger; the store and MLflow add what the ledger does not hold, and where one of them is
down that is said and the rest is shown. No Airflow, no ML library.
"""

from retrain.audit.asof import Tenure, in_production, tenures
from retrain.audit.dossier import Dossier, open_dossier
from retrain.audit.trail import Trail, follow

__all__ = ["Dossier", "Tenure", "Trail", "follow", "in_production", "open_dossier", "tenures"]
