from tests.support.airflow_tasks import use_own_home

use_own_home()
